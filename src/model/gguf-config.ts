/** @file The config.json of a llama model that comes as a GGUF file only. */
import { InputError } from '../base/errors.ts'
import type { GgufFile } from './gguf.ts'

/**
 * The settings of a model under their older names in transformers, as most files on the Hub have them.
 * @throws InputError for an architecture other than llama, and for a setting that is missing or senseless.
 */
export function ggufConfig(file: GgufFile): Record<string, unknown> {
  const architecture = file.metadata.get('general.architecture')
  if (architecture !== 'llama') throw problem(file, "the architecture 'llama'", `'${architecture}'`)
  const embedding = file.tensors.get('token_embd.weight')
  if (embedding?.shape.length !== 2) throw problem(file, "a matrix 'token_embd.weight'", `[${embedding?.shape}]`)
  const [vocabularySize, hiddenSize] = embedding.shape
  const heads = headCounts(file)
  const headDim = count(file, 'llama.attention.key_length', hiddenSize / heads.query)
  const rotaryDim = count(file, 'llama.rope.dimension_count', headDim)
  if (rotaryDim !== headDim) throw problem(file, `${headDim} rotary dimensions, all of a head`, `${rotaryDim}`)
  return {
    model_type: 'llama',
    hidden_act: 'silu',
    vocab_size: vocabularySize,
    hidden_size: hiddenSize,
    intermediate_size: count(file, 'llama.feed_forward_length'),
    num_hidden_layers: count(file, 'llama.block_count'),
    num_attention_heads: heads.query,
    num_key_value_heads: heads.key,
    head_dim: headDim,
    max_position_embeddings: count(file, 'llama.context_length'),
    rms_norm_eps: positive(file, 'llama.attention.layer_norm_rms_epsilon'),
    rope_theta: positive(file, 'llama.rope.freq_base', 10000),
    rope_scaling: ropeScaling(file),
    attention_bias: file.tensors.has('blk.0.attn_q.bias'),
    mlp_bias: file.tensors.has('blk.0.ffn_up.bias'),
    tie_word_embeddings: !file.tensors.has('output.weight'),
    bos_token_id: file.metadata.get('tokenizer.ggml.bos_token_id') ?? null,
    eos_token_id: file.metadata.get('tokenizer.ggml.eos_token_id') ?? null,
  }
}

/** How many heads queries have, and how many keys and values have. */
export function headCounts(file: GgufFile): { readonly query: number; readonly key: number } {
  const query = count(file, 'llama.attention.head_count')
  return { query, key: count(file, 'llama.attention.head_count_kv', query) }
}

/** What a file states in words; divisors of the frequencies, as of llama3, are its tensor `rope_freqs.weight`. */
function ropeScaling(file: GgufFile): Record<string, unknown> | null {
  const type = file.metadata.get('llama.rope.scaling.type') ?? 'none'
  return type === 'none' ? null : { rope_type: type, factor: positive(file, 'llama.rope.scaling.factor') }
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
