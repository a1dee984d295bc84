/**
 * @file The settings of a command, as its zod schema declares them: names, defaults, and how text becomes a value.
 * Flags and YAML files give text; both are read here, so that both accept the same.
 */
import { z } from 'zod'

type JsonSchema = z.core.JSONSchema.JSONSchema

export interface Setting {
  readonly key: string
  readonly aliases: readonly string[]
  readonly group: string
  readonly description: string
  readonly default: unknown
  /** One for each kind of value that is accepted, in the order of preference. */
  readonly kinds: readonly Kind[]
}

/** A setting as somebody wrote it. */
export interface Given {
  /** The name that was used, perhaps an alias or unknown. */
  readonly name: string
  /** Where, for messages: `--max_steps`, `run.yaml:3: max_steps`. */
  readonly place: string
  /** Null is YAML's. */
  readonly content: string | readonly string[] | null
}

/** A kind of value, and the JSON schema that limits it. */
export interface Kind {
  readonly name: KindName
  readonly json: JsonSchema
}

type KindName = 'string' | 'number' | 'integer' | 'boolean' | 'null' | 'array'

/**
 * What the fields of an object schema declare. Each field may carry `.meta({ description, group, alias: […] })`.
 * @throws Error for a field of a kind that text cannot give, such as an object.
 */
export function settingsOf(schema: z.ZodObject): Setting[] {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input' })
  return Object.entries(properties).map(([key, property]) => {
    const json = typeof property === 'boolean' ? {} : property
    return {
      key,
      aliases: Array.isArray(json['alias']) ? json['alias'].map(String) : [],
      group: String(json['group'] ?? 'Options'),
      description: json.description ?? '',
      default: json.default,
      kinds: kindsOf(key, json),
    }
  })
}

function kindsOf(key: string, json: JsonSchema): Kind[] {
  if (json.anyOf !== undefined) return json.anyOf.flatMap((branch) => kindsOf(key, branch))
  const types = Array.isArray(json.type) ? json.type : [json.type]
  return types.map((type) => {
    if (type === undefined || type === 'object')
      throw new Error(`setting '${key}': no flag can give a value of type ${type}`)
    return { name: type, json }
  })
}

/** The kinds of the items of a list. */
function itemKinds({ json: { items } }: Kind): Kind[] {
  return typeof items === 'object' && !Array.isArray(items) ? kindsOf('item', items) : []
}

/** The values that a kind is limited to, or undefined. */
export function choicesOf({ json }: Kind): readonly unknown[] | undefined {
  return json.enum ?? (json.const === undefined ? undefined : [json.const])
}

/** Whether the flag alone means true. */
export function acceptsBare({ kinds }: Setting): boolean {
  return kinds.some(({ name }) => name === 'boolean')
}

const WORDS = new Map([
  ...['true', 'yes', 'on', '1'].map((word) => [word, true] as const),
  ...['false', 'no', 'off', '0'].map((word) => [word, false] as const),
])
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i

/** How text becomes a value of each kind; undefined where it does not. */
const readers: { readonly [K in KindName]: (text: string, kind: Kind) => unknown } = {
  string: (text) => text,
  number: (text) => (NUMBER.test(text) ? Number(text) : undefined),
  integer: (text) => (NUMBER.test(text) ? Number(text) : undefined),
  boolean: (text) => WORDS.get(text.toLowerCase()),
  null: (text) => (['none', 'null'].includes(text.toLowerCase()) ? null : undefined),
  array: (text, kind) => listFromTexts(text === '' ? [] : text.split(',').map((item) => item.trim()), [kind]),
}

/** The value that a text means for a setting of these kinds, not yet checked against limits; undefined where none. */
export function valueFromText(text: string, kinds: readonly Kind[]): unknown {
  for (const kind of kinds) {
    const choices = choicesOf(kind)
    const value =
      choices === undefined ? readers[kind.name](text, kind) : choices.find((choice) => String(choice) === text)
    if (value !== undefined) return value
  }
  return undefined
}

/** What follows `model@http://…` and is an address too is another server of that model: `m@http://a,http://b` is one item. */
function joinAddresses(texts: readonly string[]): string[] {
  const items: string[] = []
  for (const text of texts) {
    const last = items.at(-1)
    if (last !== undefined && /^https?:\/\//i.test(text) && /@https?:\/\//i.test(last)) {
      items[items.length - 1] = `${last},${text}`
    } else items.push(text)
  }
  return items
}

/** The list that texts mean, each one item; undefined where no kind is a list of such items. */
export function listFromTexts(texts: readonly string[], kinds: readonly Kind[]): unknown[] | undefined {
  const joined = joinAddresses(texts)
  for (const kind of kinds) {
    if (kind.name !== 'array') continue
    const items = joined.map((text) => valueFromText(text, itemKinds(kind)))
    if (!items.includes(undefined)) return items
  }
  return undefined
}

/** What is expected of a value, for a message: `an integer ≥ 1`, `one of no, steps, epoch`. */
export function describeKinds(kinds: readonly Kind[]): string {
  return kinds.map(describeKind).join(' or ')
}

function describeKind(kind: Kind): string {
  const choices = choicesOf(kind)
  if (choices !== undefined) return choices.length === 1 ? String(choices[0]) : `one of ${choices.join(', ')}`
  const limits = limitsOf(kind.json)
  const names: { readonly [K in KindName]: string } = {
    string: kind.json.pattern === undefined ? 'text' : `text like /${kind.json.pattern}/`,
    number: 'a number',
    integer: 'an integer',
    boolean: 'true or false',
    null: 'none',
    array: `a list (${describeKinds(itemKinds(kind))})`,
  }
  return limits === '' ? names[kind.name] : `${names[kind.name]} ${limits}`
}

function limitsOf({ minimum, exclusiveMinimum, maximum, exclusiveMaximum, minLength, minItems }: JsonSchema): string {
  const limits = [
    ['≥', minimum],
    ['>', exclusiveMinimum],
    ['≤', maximum],
    ['<', exclusiveMaximum],
    ['of length ≥', minLength ?? minItems],
  ] as const
  // Beyond the safe integers lie only the limits that zod sets to every integer.
  return limits
    .filter(([, limit]) => typeof limit === 'number' && Math.abs(limit) < Number.MAX_SAFE_INTEGER)
    .map(([sign, limit]) => `${sign} ${limit}`)
    .join(' and ')
}
