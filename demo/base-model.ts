/** @file The shape and the tokenizer of the demo's model: a Llama of a million weights whose tokens are words and numbers. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { byteLetters } from '../scripts/tiny-model.ts'
import { writeDurably } from '../src/base/files.ts'
import { cleanSolution, makeProblem } from './problems.ts'

/** A word or a number with the space before it, or one other character. */
const PIECE = ' ?\\d+| ?[A-Za-z]+|[^A-Za-z\\d]'
const SPECIAL = ['<|pad|>', '<|user|>', '<|assistant|>', '<|end|>']
const HIGHEST_NUMBER = 199
/** In so many problems every word of the templates occurs. */
const SEEN_PROBLEMS = 5000

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}" +
  "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"

/** Every byte, so that any text can be encoded, then the pieces of the problems as bytes are spelled. */
function vocabulary(): string[] {
  const letters = byteLetters()
  const spell = (piece: string): string => Array.from(Buffer.from(piece), (byte) => letters[byte]).join('')
  const pieces = new Set<string>()
  for (let number = 0; number <= HIGHEST_NUMBER; number++) pieces.add(` ${number}`)
  for (let index = 0; index < SEEN_PROBLEMS; index++) {
    const problem = makeProblem(0, 'training', index)
    for (const text of [problem.question, cleanSolution(problem)]) {
      for (const [piece] of text.matchAll(new RegExp(PIECE, 'g'))) if (piece.length > 1) pieces.add(piece)
    }
  }
  return [...letters, ...[...pieces].map(spell), ...SPECIAL]
}

/** Writes config.json and the tokenizer's files. */
export function writeBaseModel(folder: string): void {
  mkdirSync(folder, { recursive: true })
  const words = vocabulary()
  const json = (name: string, value: unknown): void =>
    writeDurably(join(folder, name), `${JSON.stringify(value, null, 1)}\n`)
  const end = words.indexOf('<|end|>')
  const added = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  const split = { type: 'Split', pattern: { Regex: PIECE }, behavior: 'Isolated', invert: false }
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }
  json('config.json', configOf(words.length, end))
  json('tokenizer.json', {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content) => ({ id: words.indexOf(content), content, ...added })),
    normalizer: null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [split, bytes] },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: true, // a piece that is known is one token
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      merges: [],
    },
  })
  json('tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    eos_token: '<|end|>',
    pad_token: '<|pad|>',
    chat_template: CHAT_TEMPLATE,
  })
  json('generation_config.json', { eos_token_id: end, pad_token_id: words.indexOf('<|pad|>') })
}

function configOf(vocabularySize: number, end: number): object {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: vocabularySize,
    hidden_size: 128,
    intermediate_size: 384,
    num_hidden_layers: 5,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    head_dim: 32,
    hidden_act: 'silu',
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    max_position_embeddings: 512,
    tie_word_embeddings: true,
    initializer_range: 0.02,
    bos_token_id: null,
    eos_token_id: end,
  }
}
