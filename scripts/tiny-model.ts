/** @file A freshly initialised Llama model of a few thousand weights, with a tokenizer of bytes, as Hugging Face files. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurably } from '../src/base/files.ts'
import { random } from '../src/base/random.ts'
import { families, parseModelConfig } from '../src/model/families.ts'
import { safetensorsParts } from '../src/model/safetensors-write.ts'
import { tensorShapes } from '../src/model/weights.ts'

const SPECIAL = ['<|pad|>', '<|user|>', '<|assistant|>', '<|end|>']

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}" +
  "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"

const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 256 + SPECIAL.length,
  hidden_size: 64,
  intermediate_size: 160,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  max_position_embeddings: 2048,
  tie_word_embeddings: true,
  bos_token_id: null,
  eos_token_id: 256 + SPECIAL.indexOf('<|end|>'),
}

/** The letters by which byte-level tokenizers spell bytes: printable ones stand for themselves, the others follow 255. */
export function byteLetters(): string[] {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255)
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++))
}

function tokenizerJson(): object {
  const vocab = Object.fromEntries([...byteLetters(), ...SPECIAL].map((letter, id) => [letter, id]))
  const added = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, at) => ({ id: 256 + at, content, ...added })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false, vocab, merges: [] },
  }
}

/** Writes config.json, model.safetensors and the tokenizer's files. The same seed gives the same bytes. */
export function writeTinyModel(folder: string, seed: number): void {
  mkdirSync(folder, { recursive: true })
  const parsed = parseModelConfig(config, 'tiny')
  const tensors = new Map(
    [...tensorShapes(families[parsed.family], parsed)].map(([name, shape]) => {
      const draw = random(seed, 'tiny-model', name)
      const length = shape.reduce((product, size) => product * size, 1)
      const isNorm = shape.length === 1
      // Uniform with the standard deviation that keeps the size of what goes through: 1 / √inputs.
      const bound = Math.sqrt(3 / shape[shape.length - 1])
      const data = Float32Array.from({ length }, () => (isNorm ? 1 : (2 * draw.uniform() - 1) * bound))
      return [name, { data, shape }]
    }),
  )
  const json = (name: string, value: unknown): void =>
    writeDurably(join(folder, name), `${JSON.stringify(value, null, 2)}\n`)
  writeDurably(join(folder, 'model.safetensors'), safetensorsParts(tensors, new Map([['format', 'pt']])))
  json('config.json', config)
  json('tokenizer.json', tokenizerJson())
  json('tokenizer_config.json', { eos_token: '<|end|>', pad_token: '<|pad|>', chat_template: CHAT_TEMPLATE })
  json('generation_config.json', { eos_token_id: config.eos_token_id })
}
