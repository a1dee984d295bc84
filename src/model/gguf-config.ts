/** @file The config.json of a model that comes as a GGUF file only. */
import { InputError } from '../base/errors.ts'
import type { GgufFile } from './gguf.ts'

/** The `model_type` of each `general.architecture`. Files of Mistral models say llama, too. */
const modelTypes: ReadonlyMap<unknown, string> = new Map([
  ['llama', 'llama'],
  ['qwen2', 'qwen2'],
  ['qwen3', 'qwen3'],
  ['phi3', 'phi3'],
  ['smollm3', 'smollm3'],
  ['gemma3', 'gemma3_text'],
])

/**
 * The settings of a model under their older names in transformers, as most files on the Hub have them.
 * @throws InputError for an architecture that is not known, and for a setting that is missing or senseless.
 */
export function ggufConfig(file: GgufFile): Record<string, unknown> {
  const architecture = architectureOf(file)
  const key = (name: string): string => `${architecture}.${name}`
  const embedding = file.tensors.get('token_embd.weight')
  if (embedding?.shape.length !== 2) throw problem(file, "a matrix 'token_embd.weight'", `[${embedding?.shape}]`)
  const [vocabularySize, hiddenSize] = embedding.shape
  const heads = headCounts(file)
  const headDim = count(file, key('attention.key_length'), hiddenSize / heads.query)
  const rotaryDim = count(file, key('rope.dimension_count'), headDim)
  if (rotaryDim !== headDim && architecture !== 'phi3') {
    throw problem(file, `${headDim} rotary dimensions, all of a head`, `${rotaryDim}`)
  }
  return {
    model_type: modelTypes.get(architecture),
    hidden_act: 'silu',
    vocab_size: vocabularySize,
    hidden_size: hiddenSize,
    intermediate_size: count(file, key('feed_forward_length')),
    num_hidden_layers: count(file, key('block_count')),
    num_attention_heads: heads.query,
    num_key_value_heads: heads.key,
    head_dim: headDim,
    max_position_embeddings: count(file, key('context_length')),
    rms_norm_eps: positive(file, key('attention.layer_norm_rms_epsilon')),
    rope_theta: positive(file, key('rope.freq_base'), 10000),
    rope_scaling: ropeScaling(file, architecture),
    tie_word_embeddings: !file.tensors.has('output.weight'),
    bos_token_id: file.metadata.get('tokenizer.ggml.bos_token_id') ?? null,
    eos_token_id: file.metadata.get('tokenizer.ggml.eos_token_id') ?? null,
    ...ownSettings(file, architecture, { hiddenSize, heads: heads.query, headDim, rotaryDim }),
  }
}

function architectureOf(file: GgufFile): string {
  const architecture = file.metadata.get('general.architecture')
  if (typeof architecture === 'string' && modelTypes.has(architecture)) return architecture
  throw problem(file, `an architecture of ${[...modelTypes.keys()].join(', ')}`, `'${architecture}'`)
}

interface Sizes {
  readonly hiddenSize: number
  readonly heads: number
  readonly headDim: number
  readonly rotaryDim: number
}

/** What only one architecture has, and what llama.cpp takes for granted in it (llama-model.cpp). */
function ownSettings(file: GgufFile, architecture: string, sizes: Sizes): Record<string, unknown> {
  if (architecture === 'llama' || architecture === 'smollm3') {
    return { attention_bias: file.tensors.has('blk.0.attn_q.bias'), mlp_bias: file.tensors.has('blk.0.ffn_up.bias') }
  }
  if (architecture === 'phi3') {
    const window = file.metadata.get('phi3.attention.sliding_window')
    // Phi-4 says 0 where it has none.
    return {
      partial_rotary_factor: sizes.rotaryDim / sizes.headDim,
      sliding_window: window === 0 ? null : window,
      original_max_position_embeddings: file.metadata.get('phi3.rope.scaling.original_context_length'),
    }
  }
  if (architecture !== 'gemma3') return {}
  const isLargest = file.metadata.get('gemma3.block_count') === 62 // 27B
  return {
    sliding_window: count(file, 'gemma3.attention.sliding_window'),
    query_pre_attn_scalar: isLargest ? sizes.hiddenSize / sizes.heads : sizes.headDim,
    rope_local_base_freq: positive(file, 'gemma3.rope.freq_base_swa', 10000),
    final_logit_softcapping: file.metadata.get('gemma3.final_logit_softcapping') ?? null,
  }
}

/** How many heads queries have, and how many keys and values have. */
export function headCounts(file: GgufFile): { readonly query: number; readonly key: number } {
  const architecture = architectureOf(file)
  const query = count(file, `${architecture}.attention.head_count`)
  return { query, key: count(file, `${architecture}.attention.head_count_kv`, query) }
}

/** Settings of a scaling that are read; any other would change the frequencies. */
const scalingSettings = ['type', 'factor', 'original_context_length', 'finetuned', 'attn_factor']

/** What a file states in words; divisors of the frequencies, as of llama3, are its tensor `rope_freqs.weight`. */
function ropeScaling(file: GgufFile, architecture: string): Record<string, unknown> | null {
  const prefix = `${architecture}.rope.scaling.`
  const own = [...file.metadata.keys()].filter((key) => key.startsWith(prefix))
  const strange = own.find((key) => !scalingSettings.includes(key.slice(prefix.length)))
  if (strange !== undefined) throw problem(file, `of '${prefix}' only ${scalingSettings.join(', ')}`, `'${strange}'`)
  if (file.tensors.has(SHORT_FACTORS)) {
    return {
      rope_type: 'longrope',
      short_factor: factorsOf(file, SHORT_FACTORS),
      long_factor: factorsOf(file, LONG_FACTORS),
      attention_factor: file.metadata.get(`${prefix}attn_factor`),
    }
  }
  const factor = file.metadata.get(`${prefix}attn_factor`) ?? 1
  if (factor !== 1) throw problem(file, `'${prefix}attn_factor' with longrope only`, `${factor}`)
  const type = file.metadata.get(`${prefix}type`) ?? 'none'
  if (type === 'none') return null
  const scaling = { rope_type: type, factor: positive(file, `${prefix}factor`) }
  if (type !== 'yarn') return scaling
  return {
    ...scaling,
    original_max_position_embeddings: file.metadata.get(`${prefix}original_context_length`),
  }
}

const SHORT_FACTORS = 'rope_factors_short.weight'
const LONG_FACTORS = 'rope_factors_long.weight'

function factorsOf(file: GgufFile, name: string): number[] {
  return file.tensors.has(name) ? [...file.readFloat32(name)] : []
}

function count(file: GgufFile, key: string, fallback?: number): number {
  const value = positive(file, key, fallback)
  if (!Number.isSafeInteger(value)) throw problem(file, `a whole number as '${key}'`, `${value}`)
  return value
}

function positive(file: GgufFile, key: string, fallback?: number): number {
  const value = file.metadata.get(key) ?? fallback
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value
  throw problem(file, `a positive number as '${key}'`, `${value}`)
}

function problem(file: GgufFile, expected: string, found: string): InputError {
  return new InputError({ file: file.path }, expected, found)
}
