import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { inspectSchema, scoreSchema } from './command-settings.ts'
import { trainSchema } from './config.ts'
import { generateSchema } from './generate-settings.ts'
import { type Kind, listFromTexts, type Setting, settingsOf, valueFromText } from './settings.ts'
import { jsonSchema, readYaml, settingsToYaml } from './settings-yaml.ts'

const schemas = [
  ['train', trainSchema],
  ['score', scoreSchema],
  ['generate', generateSchema],
  ['data inspect', inspectSchema],
] as const

/** Values of a kind, within its limits. */
function valuesOf({ name, json }: Kind): fc.Arbitrary<unknown> {
  const choices = json.enum ?? (json.const === undefined ? undefined : [json.const])
  if (choices !== undefined) return fc.constantFrom(...choices)
  const limit = (value: unknown, or: number): number => (typeof value === 'number' ? value : or)
  const min = Math.max(limit(json.minimum ?? json.exclusiveMinimum, -1e6), -1e6)
  const max = Math.min(limit(json.maximum ?? json.exclusiveMaximum, 1e6), 1e6)
  const text = fc.oneof(
    fc.string({ minLength: 1 }),
    fc.constantFrom('no', '1e3', ' a: b', '#', 'null', '- x', '"', '~'),
  )
  switch (name) {
    case 'integer':
      return fc.integer({ min: min + Number(json.exclusiveMinimum !== undefined), max })
    case 'number':
      return fc.double({
        min,
        minExcluded: json.exclusiveMinimum !== undefined,
        max,
        maxExcluded: json.exclusiveMaximum !== undefined,
        noNaN: true,
      })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array': {
      const { items } = json
      const ofItems = typeof items === 'object' && !Array.isArray(items) ? kindOfItem(items) : text
      return fc.array(ofItems, { minLength: 1, maxLength: 3 })
    }
    default:
      return text
  }
}

function kindOfItem(json: Kind['json']): fc.Arbitrary<unknown> {
  return valuesOf({ name: json.type === 'string' ? 'string' : 'number', json })
}

/** Text that means something else, such as a checkpoint called `no`, can be given to the API only. */
function anyOf({ kinds }: Setting): fc.Arbitrary<unknown> {
  return fc
    .oneof(...kinds.map(valuesOf))
    .filter((value) => typeof value !== 'string' || valueFromText(value, kinds) === value)
}

/** Some of the settings of a schema, each within its own limits: a few, for many at random hardly ever go together. */
function someSettings(schema: z.ZodObject): fc.Arbitrary<Record<string, unknown>> {
  return fc
    .subarray(settingsOf(schema), { maxLength: 8 })
    .chain((some) => fc.record(Object.fromEntries(some.map((setting) => [setting.key, anyOf(setting)]))))
}

/** The settings that YAML gives, as flags and files give them: by texts and the kinds of the schema. */
function fromYaml(schema: z.ZodObject, text: string): Record<string, unknown> {
  const settings = new Map(settingsOf(schema).map((setting) => [setting.key, setting]))
  return Object.fromEntries(
    readYaml({ path: 'x.yaml', text }).map(({ name, content }) => {
      const kinds = settings.get(name)?.kinds ?? []
      if (content === null) return [name, null]
      return [name, typeof content === 'string' ? valueFromText(content, kinds) : listFromTexts(content, kinds)]
    }),
  )
}

const needed = { base_model: 'm', dataset_path: 'd', prompt: 'p' }

function complete(schema: z.ZodObject, some: Record<string, unknown>): Record<string, unknown> {
  const known = Object.entries(needed).filter(([name]) => name in schema.shape)
  return { ...Object.fromEntries(known), ...some }
}

const schemaOfFile = z.looseObject({ properties: z.record(z.string(), z.looseObject({ $ref: z.string().optional() })) })

/** A validator of the JSON schema, by zod's own reader, which knows no references to other properties: they are put in. */
function editorOf(schema: z.ZodObject): z.ZodType {
  const { properties, ...rest } = schemaOfFile.parse(JSON.parse(JSON.stringify(jsonSchema(schema))))
  const resolved = Object.entries(properties).map(([name, property]) => {
    const target = property.$ref?.replace('#/properties/', '')
    return [name, target === undefined ? property : properties[target]]
  })
  return z.fromJSONSchema({ ...rest, properties: Object.fromEntries(resolved) })
}

describe.each(schemas)('the settings of %s', (_, schema) => {
  test('come back from YAML as they went in', () => {
    fc.assert(
      fc.property(someSettings(schema), (some) => {
        const parsed = schema.safeParse(complete(schema, some))
        fc.pre(parsed.success)
        if (!parsed.success) return
        expect(schema.parse(fromYaml(schema, settingsToYaml(schema, parsed.data)))).toEqual(parsed.data)
      }),
      { numRuns: 60 },
    )
  })

  test('are accepted by the JSON schema wherever zod accepts them, and nothing is accepted that zod refuses', () => {
    const editor = editorOf(schema)
    // A rule across settings is beyond a JSON schema.
    const single = z.strictObject(schema.shape)
    let accepted = 0
    const wild = fc.dictionary(
      fc.constantFrom(...Object.keys(schema.shape)),
      fc.constantFrom<unknown>(-1, 0, 0.5, 1, 1.5, '', 'no', 'steps', 'x', true, false, [], ['x'], [1], {}, [[]]),
      { maxKeys: 3 },
    )
    fc.assert(
      fc.property(fc.oneof(someSettings(schema), wild), (some) => {
        const byZod = single.safeParse(complete(schema, some)).success
        accepted += Number(byZod)
        expect(editor.safeParse(complete(schema, some)).success).toBe(byZod)
      }),
      { numRuns: 200 },
    )
    expect(accepted).toBeGreaterThan(30)
    expect(editor.safeParse({ max_stepz: 3 }).success).toBe(false)
    expect(editor.safeParse({}).success).toBe(true) // flags may give the rest
    for (const { aliases } of settingsOf(schema)) {
      for (const alias of aliases) expect(editor.safeParse({ [alias]: {} }).success, alias).toBe(false)
    }
  })
})

test('each setting has a description, and no name stands for two settings of a command', () => {
  for (const [, schema] of schemas) {
    const settings = settingsOf(schema)
    expect(settings.filter(({ description }) => description === '').map(({ key }) => key)).toEqual([])
    const names = settings.flatMap(({ key, aliases }) => [key, ...aliases])
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
  }
})

test('an address goes on with the item before it where that ends with one; any other comma separates', () => {
  const kinds = settingsOf(z.object({ names: z.array(z.string()) }))[0].kinds
  const list = (text: string) => valueFromText(text, kinds)
  expect(list('gpt-4,vllm:m@http://a/v1, HTTPS://b/v1,http://c,claude-3')).toEqual([
    'gpt-4',
    'vllm:m@http://a/v1,HTTPS://b/v1,http://c',
    'claude-3',
  ])
  expect(list('vllm:m@http://a,vllm:n@http://b')).toEqual(['vllm:m@http://a', 'vllm:n@http://b'])
  expect(list('gpt-4,http://a')).toEqual(['gpt-4', 'http://a'])
  expect(listFromTexts(['vllm:m@http://a', 'http://b', 'x'], kinds)).toEqual(['vllm:m@http://a,http://b', 'x'])
})
