import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { trainSchema } from '../src/recipe/config.ts'
import { jsonSchema } from '../src/recipe/settings-yaml.ts'

test('schema.json says what the settings of train are now: npm run schema writes it', () => {
  const written = readFileSync(new URL('../schema.json', import.meta.url), 'utf8')
  expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify(jsonSchema(trainSchema))))
})
