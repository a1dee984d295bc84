/** @file Where a tokenizer comes from: the files of a Hugging Face model folder, or a GGUF file. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { InputError, messageOf, UserError } from '../base/errors.ts'
import { parseJson } from '../base/lines.ts'
import { openByteFile } from '../model/byte-file.ts'
import { openGguf } from '../model/gguf.ts'
import { resolveInFolder } from '../model/model-folder.ts'
import { ggufTokenizer } from './gguf-vocabulary.ts'

const nameKeys = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const

/** The tokens that have a role, by the names that transformers and chat templates use. */
export type SpecialNames = Readonly<Partial<Record<(typeof nameKeys)[number], string>>>

export interface TokenizerSource {
  /** The file that errors name. */
  readonly file: string
  /** The content of a tokenizer.json, unchecked. */
  readonly json: unknown
  readonly names: SpecialNames
  /** Tokens that end a completion, besides `names.eos_token`. */
  readonly eosIds: readonly number[]
  readonly template: { readonly source: string; readonly file: string } | undefined
}

/** Twice the largest tokenizer.json known. */
const MAX_FILE_BYTES = 64 << 20

const nameField = z
  .union([z.string(), z.object({ content: z.string() })])
  .nullish()
  .transform((token) => (typeof token === 'object' ? token?.content : token))
const nameFields = z.object({
  bos_token: nameField,
  eos_token: nameField,
  unk_token: nameField,
  sep_token: nameField,
  pad_token: nameField,
  cls_token: nameField,
  mask_token: nameField,
})
const configFields = nameFields.extend({
  chat_template: z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]).nullish(),
})
const eosFields = z.object({ eos_token_id: z.union([z.int(), z.array(z.int())]).nullish() })

/**
 * Reads what there is about the tokenizer at `path`: a model folder with a tokenizer.json or one .gguf file, or a .gguf
 * file itself.
 * @throws UserError where there is neither, InputError for a file that is not what its name says.
 */
export function readTokenizerSource(path: string): TokenizerSource {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat?.isFile() && path.endsWith('.gguf')) return readGguf(path)
  if (!stat?.isDirectory()) throw new UserError(`${path}: expected a model folder or a .gguf file, found neither`)
  return readFolder(path)
}

function readGguf(path: string): TokenizerSource {
  const gguf = openGguf(path)
  try {
    return ggufTokenizer(gguf.metadata, path)
  } finally {
    gguf.close()
  }
}

function readFolder(folder: string): TokenizerSource {
  const names = new Set(readdirSync(folder))
  const read = <S extends z.ZodType>(name: string, schema: S): z.output<S> | undefined =>
    names.has(name) ? parseFields(schema, readJson(folder, name), join(folder, name)) : undefined
  const config = read('tokenizer_config.json', configFields)
  const legacyNames = read('special_tokens_map.json', nameFields)
  const eosIds = ['generation_config.json', 'config.json'].flatMap((name) => read(name, eosFields)?.eos_token_id ?? [])
  const base = names.has('tokenizer.json') ? undefined : readGguf(findGguf(folder, names))
  const named = nameKeys.map((key) => [key, config?.[key] ?? legacyNames?.[key] ?? base?.names[key]])
  return {
    file: base?.file ?? join(folder, 'tokenizer.json'),
    json: base === undefined ? readJson(folder, 'tokenizer.json') : base.json,
    names: Object.fromEntries(named),
    eosIds: [...(base?.eosIds ?? []), ...eosIds],
    template: names.has('chat_template.jinja')
      ? { source: readText(folder, 'chat_template.jinja'), file: join(folder, 'chat_template.jinja') }
      : (defaultTemplate(config?.chat_template, join(folder, 'tokenizer_config.json')) ?? base?.template),
  }
}

function findGguf(folder: string, names: ReadonlySet<string>): string {
  const found = [...names].filter((name) => name.endsWith('.gguf')).sort()
  if (found.length === 1) return resolveInFolder(folder, found[0])
  const which = found.length === 0 ? 'neither' : `no tokenizer.json and ${found.length} .gguf files; name one of them`
  throw new UserError(`${folder}: expected a tokenizer.json or one .gguf file, found ${which}`)
}

function defaultTemplate(
  templates: z.infer<typeof configFields>['chat_template'],
  file: string,
): TokenizerSource['template'] {
  if (templates === undefined || templates === null) return undefined
  if (typeof templates === 'string') return { source: templates, file }
  const found = templates.find(({ name }) => name === 'default')
  if (found !== undefined) return { source: found.template, file }
  const others = templates.map(({ name }) => name).join(', ')
  throw new InputError({ file }, "a chat template named 'default'", others === '' ? 'none' : others.slice(0, 200))
}

function readBytes(folder: string, name: string): Uint8Array {
  const file = openByteFile(resolveInFolder(folder, name))
  try {
    if (file.size <= MAX_FILE_BYTES) return new Uint8Array(file.read(0, file.size))
    throw new InputError({ file: join(folder, name) }, `at most ${MAX_FILE_BYTES} bytes`, `${file.size}`)
  } finally {
    file.close()
  }
}

function readText(folder: string, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readBytes(folder, name))
  } catch (error) {
    if (error instanceof UserError) throw error
    throw new InputError({ file: join(folder, name) }, 'text in UTF-8', messageOf(error), { cause: error })
  }
}

function readJson(folder: string, name: string): unknown {
  const parsed = parseJson(readBytes(folder, name))
  if ('value' in parsed) return parsed.value
  throw new InputError({ file: join(folder, name) }, 'JSON', parsed.problem)
}

function parseFields<S extends z.ZodType>(schema: S, json: unknown, file: string): z.output<S> {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const [{ path, message }] = result.error.issues
  throw new InputError({ file }, `a valid ${path.join('.') || 'object'}`, `another value (${message})`)
}
