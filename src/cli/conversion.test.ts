import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { convertSchema } from '../recipe/command-settings.ts'
import { convert } from '../recipe/convert.ts'
import { conversionJson, conversionLines } from './conversion.ts'

const makeFolder = folderMaker()

test('the report says what was read, what was written, what was left out and why, and how the trainer ends a text', async () => {
  const folder = makeFolder()
  const [dataset_path, output_path] = [join(folder, 'data.jsonl'), join(folder, 'out.jsonl')]
  const steps = (completions: string[], labels: boolean[]) => JSON.stringify({ prompt: 'q', completions, labels })
  const rows = [steps(['a', 'c'], [true, true]), steps(['b'], [false]), steps(['a', 'd'], [true, false]), '{}']
  writeFileSync(dataset_path, `${rows.join('\n')}\n`)
  const settings = convertSchema.parse({ dataset_path, to: 'ms-swift', output_path })
  const conversion = await convert(settings)
  const lines = conversionLines(conversion, settings)
  expect(lines.slice(0, -1)).toEqual([
    `${dataset_path}: stepwise`,
    'rows         4 read, 3 used, 1 bad',
    `  bad      ${dataset_path}:4: prompt: Invalid input: expected string, received undefined`,
    `pairs        1 written as rows of ms-swift: ${output_path}`,
    `  dropped  2 pairs: a side goes on, and the trainer ends every side (first: ${dataset_path}:1)`,
  ])
  expect(lines.at(-1)).toMatch(/^end of text {2}ms-swift ends every side/)
  expect(JSON.parse(conversionJson(conversion))).toMatchObject({
    ...{ format: 'stepwise', read: 4, used: 3, bad: 1, rows: 1 },
    dropped: { 'a side goes on, and the trainer ends every side': 2 },
  })
})
