/** @file Settings as YAML files, and the JSON schema by which editors check such files. */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, stringify } from 'yaml'
import { z } from 'zod'
import { UsageError } from '../base/errors.ts'
import { type Given, settingsOf } from './settings.ts'

/** A YAML file of settings. */
export interface YamlFile {
  readonly path: string
  readonly text: string
}

/** The parser takes half a second for the worst of this length, and more than twice as long for twice as much. */
const MAX_CHARACTERS = 1 << 16

/**
 * The settings that a YAML file gives, as texts: `yes` and `"true"` are for the schema to judge, not for YAML.
 * References (`*name`) are not followed.
 * @throws UsageError with file and line for anything but a mapping from names to scalars and lists of scalars.
 */
export function readYaml(file: YamlFile): Given[] {
  if (file.text.length > MAX_CHARACTERS) throw new UsageError(`${file.path}: expected settings, found over 64 KiB`)
  const lineCounter = new LineCounter()
  const placeOf = (offset: number): string => `${file.path}:${lineCounter.linePos(offset).line}`
  const document = parseDocument(file.text, { lineCounter, prettyErrors: false })
  for (const error of document.errors) throw new UsageError(`${placeOf(error.pos[0])}: ${error.message}`)
  if (document.contents === null) return []
  if (!isMap(document.contents)) throw new UsageError(`${file.path}: expected settings as name: value`)
  return document.contents.items.map(({ key, value }) => {
    if (!isScalar(key)) throw new UsageError(`${file.path}: expected settings as name: value`)
    const name = String(key.value)
    const place = `${placeOf(key.range?.[0] ?? 0)}: ${name}`
    const content = contentOf(value)
    if (content === undefined) throw new UsageError(`${place}: expected a value or a list of values`)
    return { name, place, content }
  })
}

/** The text of a scalar or the texts of a list, null for nothing, undefined for what is neither. */
function contentOf(node: unknown): string | string[] | null | undefined {
  if (isScalar(node)) return node.value === null ? null : (node.source ?? String(node.value))
  if (!isSeq<Node>(node)) return undefined
  const items = node.items.map(contentOf)
  const texts = items.filter((item) => typeof item === 'string')
  return texts.length === items.length ? texts : undefined
}

/** The settings as a YAML file that `parseSettings` reads back equal, in the order of the schema. */
export function settingsToYaml(schema: z.ZodObject, settings: Readonly<Record<string, unknown>>): string {
  const entries = Object.keys(schema.shape).map((key) => [key, settings[key]])
  return stringify(Object.fromEntries(entries.filter(([, value]) => value !== undefined)), { lineWidth: 0 })
}

/** The JSON schema of a YAML file of settings. Nothing is required of the file: flags may give the rest. */
export function jsonSchema(schema: z.ZodObject): object {
  const {
    required: _,
    properties = {},
    ...rest
  } = z.toJSONSchema(schema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      delete jsonSchema['alias']
      delete jsonSchema['group']
    },
  })
  const aliases = settingsOf(schema).flatMap(({ key, aliases }) =>
    aliases.map((alias) => [alias, { $ref: `#/properties/${key}`, deprecated: true }]),
  )
  return { ...rest, properties: { ...properties, ...Object.fromEntries(aliases) }, additionalProperties: false }
}
