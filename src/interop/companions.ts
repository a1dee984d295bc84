/** @file The files that make a folder of weights a model that others load: tokenizer, chat template, generation settings. */
import { readdirSync, statSync } from 'node:fs'
import { z } from 'zod'
import { openByteFile } from '../model/byte-file.ts'
import { resolveInFolder } from '../model/model-folder.ts'
import { createTokenizer } from '../text/tokenizer.ts'
import { parseTokenizerFile } from '../text/tokenizer-file.ts'
import { readTokenizerSource, type TokenizerSource } from '../text/tokenizer-source.ts'

/** What is taken along from a base model's folder, where it is there. */
const COMPANIONS: ReadonlySet<string> = new Set([
  'tokenizer.json',
  'tokenizer_config.json',
  'tokenizer.model',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
  'generation_config.json',
  'LICENSE',
  'LICENSE.txt',
  'LICENSE.md',
  'NOTICE',
  'USE_POLICY.md',
])

/** What a tokenizer.json of ours leaves to defaults: the Python library wants every field. */
const looseFile = z.looseObject({
  added_tokens: z.array(z.looseObject({})),
  normalizer: z.looseObject({}).nullish(),
  pre_tokenizer: z.looseObject({ pretokenizers: z.array(z.looseObject({ type: z.string() })).nullish() }).nullish(),
  decoder: z.looseObject({ type: z.string() }),
  model: z.looseObject({}),
})

/**
 * The files that stand beside the weights of the model at `path`, by name. A GGUF file without them has their content in
 * its metadata.
 * @throws UserError or InputError for a tokenizer that cannot be read.
 */
export function companionFiles(path: string): Map<string, Uint8Array | string> {
  const isFolder = statSync(path).isDirectory()
  const names = isFolder ? readdirSync(path).filter((name) => COMPANIONS.has(name)) : []
  const files = new Map<string, Uint8Array | string>(names.sort().map((name) => [name, readWhole(path, name)]))
  if (names.includes('tokenizer.json') || (isFolder && !hasGguf(path))) return files
  return new Map([...tokenizerFiles(readTokenizerSource(path)), ...files])
}

function hasGguf(folder: string): boolean {
  return readdirSync(folder).some((name) => name.toLowerCase().endsWith('.gguf'))
}

/** A link that leads out of the folder is refused: what it names does not belong into what is handed on. */
function readWhole(folder: string, name: string): Uint8Array {
  const file = openByteFile(resolveInFolder(folder, name))
  try {
    return new Uint8Array(file.read(0, file.size))
  } finally {
    file.close()
  }
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

/** The files that transformers reads, out of what is known about a tokenizer. */
export function tokenizerFiles(source: TokenizerSource): Map<string, string> {
  const { ids } = parseTokenizerFile(source.json, source.file)
  const idOf = (name: string | undefined): number | undefined => (name === undefined ? undefined : ids.get(name))
  const { bos_token, pad_token } = source.names
  const ends = createTokenizer(source, new Date(0)).eosIds
  return new Map([
    ['tokenizer.json', json(completeTokenizer(source, idOf(bos_token)))],
    [
      'tokenizer_config.json',
      json({ ...source.names, clean_up_tokenization_spaces: false, tokenizer_class: 'PreTrainedTokenizerFast' }),
    ],
    [
      'generation_config.json',
      json({
        bos_token_id: idOf(bos_token),
        eos_token_id: ends.length === 1 ? ends[0] : ends,
        pad_token_id: idOf(pad_token),
      }),
    ],
    ...(source.template === undefined ? [] : [['chat_template.jinja', source.template.source] as const]),
  ])
}

const BYTE_LEVEL = { add_prefix_space: false, trim_offsets: true, use_regex: true }

function completeTokenizer(source: TokenizerSource, bosId: number | undefined): object {
  const file = looseFile.parse(source.json)
  const parts = file.pre_tokenizer?.pretokenizers?.map((part) =>
    part.type === 'ByteLevel' ? { ...BYTE_LEVEL, ...part } : part,
  )
  const bos = source.names.bos_token
  const addsBos = bosId !== undefined && JSON.stringify(file['post_processor']).includes('SpecialToken')
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: file.added_tokens.map((token) => ({ single_word: false, lstrip: false, rstrip: false, ...token })),
    normalizer: file.normalizer ?? null,
    pre_tokenizer: parts === undefined ? null : { type: 'Sequence', pretokenizers: parts },
    post_processor: addsBos && bos !== undefined ? bosTemplate(bos, bosId) : null,
    decoder: file.decoder.type === 'ByteLevel' ? { ...BYTE_LEVEL, ...file.decoder } : file.decoder,
    model: {
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      ...file.model,
    },
  }
}

/** BOS before a text, and before each of two. */
function bosTemplate(bos: string, id: number): object {
  const special = { SpecialToken: { id: bos, type_id: 0 } }
  const text = (name: string) => ({ Sequence: { id: name, type_id: 0 } })
  return {
    type: 'TemplateProcessing',
    single: [special, text('A')],
    pair: [special, text('A'), special, text('B')],
    special_tokens: { [bos]: { id: bos, ids: [id], tokens: [bos] } },
  }
}
