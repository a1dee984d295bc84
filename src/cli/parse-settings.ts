/** @file Settings out of arguments, a YAML file and the defaults of a schema. Knows nothing of commander. */
import type { z } from 'zod'
import { UsageError } from '../base/errors.ts'
import {
  acceptsBare,
  describeKinds,
  type Given,
  listFromTexts,
  type Setting,
  settingsOf,
  valueFromText,
} from '../recipe/settings.ts'
import { readYaml, type YamlFile } from '../recipe/settings-yaml.ts'
import { nearestName } from './suggest.ts'
import { cutText } from './width.ts'

/**
 * The settings of `schema` out of arguments, a YAML file and the schema's defaults; the former outweigh the latter.
 * Arguments are `--name value`, `--name=value`, `name=value`, `--flag` and `--no_flag`; a dash stands for an underscore.
 * @throws UsageError for unknown names, values that do not fit, missing settings, and aliases that contradict.
 */
export function parseSettings<S extends z.ZodObject>(schema: S, args: readonly string[], yaml?: YamlFile): z.output<S> {
  const names = namesOf(settingsOf(schema))
  const chosen = new Map([
    ...choose(names, yaml === undefined ? [] : readYaml(yaml)),
    ...choose(names, readArguments(names, args)),
  ])
  const input = Object.fromEntries([...chosen].map(([key, { value }]) => [key, value]))
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const problems = result.error.issues.map(({ path: [key], code, message }) => {
    const setting = names.get(String(key))
    if (setting === undefined) return message
    const given = chosen.get(setting.key)
    if (code === 'custom') return `${given?.place ?? `--${setting.key}`}: ${message}`
    return given === undefined ? `--${setting.key} is missing: ${setting.description}` : mismatch(setting, given)
  })
  throw new UsageError(problems.join('\n'))
}

/** Settings by their keys and aliases. */
type Names = ReadonlyMap<string, Setting>

function namesOf(settings: readonly Setting[]): Names {
  return new Map(settings.flatMap((setting) => [setting.key, ...setting.aliases].map((name) => [name, setting])))
}

function mismatch({ kinds }: Setting, { place, content }: Given): string {
  const found = Array.isArray(content) ? `[${content.join(', ')}]` : `'${content}'`
  return `${place}: expected ${describeKinds(kinds)}, found ${cutText(found, 80)}`
}

interface Chosen extends Given {
  readonly value: unknown
}

/** What was given for each setting from one source, by key. */
function choose(names: Names, givens: readonly Given[]): Map<string, Chosen> {
  const chosen = new Map<string, Chosen>()
  for (const given of givens) {
    const name = given.name.replaceAll('-', '_')
    const setting = names.get(name)
    if (setting === undefined) throw unknownName(given, names)
    if (given.content === null && !setting.kinds.some((kind) => kind.name === 'null')) continue // left open in YAML
    const after = { ...given, name, value: readValue(given, setting) }
    const before = chosen.get(setting.key)
    chosen.set(setting.key, before === undefined ? after : combine(before, after))
  }
  return chosen
}

function readValue(given: Given, setting: Setting): unknown {
  const { content } = given
  if (content === null) return null
  const value =
    typeof content === 'string' ? valueFromText(content, setting.kinds) : listFromTexts(content, setting.kinds)
  if (value === undefined) throw new UsageError(mismatch(setting, given))
  return value
}

/** A list grows when its flag is repeated; any other flag counts as it was given last. Two names must agree. */
function combine(before: Chosen, after: Chosen): Chosen {
  if (before.name !== after.name) {
    if (JSON.stringify(before.value) === JSON.stringify(after.value)) return after
    throw new UsageError(
      `${after.place}: is another name of '${before.name}', which has another value: give one of them`,
    )
  }
  if (!Array.isArray(before.value) || !Array.isArray(after.value)) return after
  return { ...after, value: [...before.value, ...after.value] }
}

function unknownName({ name, place }: Given, names: Names): UsageError {
  const nearest = nearestName(name, [...names.keys()])
  const key = nearest === undefined ? undefined : names.get(nearest)?.key
  const dashes = place.startsWith('--') ? '--' : ''
  return new UsageError(
    `${place}: there is no such setting` + (key === undefined ? '' : `, did you mean ${dashes}${key}?`),
  )
}

const ARGUMENT = /^(--)?([A-Za-z][\w-]*)(?:=(.*))?$/s

/** The settings that arguments give. */
function readArguments(names: Names, args: readonly string[]): Given[] {
  const givens: Given[] = []
  for (let index = 0; index < args.length; index++) {
    const { given, tookNext } = readArgument(names, args[index], args[index + 1])
    givens.push(given)
    if (tookNext) index++
  }
  return givens
}

/** The setting that an argument gives, perhaps with the argument after it. */
function readArgument(names: Names, argument: string, next: string | undefined): { given: Given; tookNext: boolean } {
  const [, dashes = '', spelled, assigned] = ARGUMENT.exec(argument) ?? []
  if (spelled === undefined || (dashes === '' && assigned === undefined)) {
    throw new UsageError(`'${argument}': expected --name value or name=value`)
  }
  const name = spelled.replaceAll('-', '_')
  const place = dashes + spelled
  const give = (content: string): Given => ({ name, place, content })
  if (assigned !== undefined) return { given: give(assigned), tookNext: false }
  const setting = names.get(name)
  if (setting === undefined) {
    const positive = name.replace(/^no_/, '')
    const negated = positive === name ? undefined : names.get(positive)
    if (negated === undefined || !acceptsBare(negated)) throw unknownName(give(''), names)
    return { given: { name: positive, place, content: 'false' }, tookNext: false }
  }
  const isBare = acceptsBare(setting)
  const isValue = next !== undefined && !next.startsWith('--')
  // A flag that can stand alone takes what follows only if it fits: `--use_lora max_steps=5` are two settings.
  if (isValue && !(isBare && valueFromText(next, setting.kinds) === undefined)) {
    return { given: give(next), tookNext: true }
  }
  if (!isBare) throw new UsageError(`${place}: expected ${describeKinds(setting.kinds)}, found nothing`)
  return { given: give('true'), tookNext: false }
}
