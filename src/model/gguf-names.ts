/**
 * @file The tensors of GGUF files under their names in transformers, with rows in its order. Source of both:
 * https://github.com/ggml-org/llama.cpp, tensor_mapping.py of gguf-py and convert_hf_to_gguf.py.
 */
import { InputError } from '../base/errors.ts'
import { type Form, isStored } from '../engine/stored.ts'
import { blockTypes, copyRows, orderRows } from './blocks.ts'
import type { GgufFile, GgufTensor } from './gguf.ts'
import { headCounts } from './gguf-config.ts'
import type { KeptTensor } from './weights.ts'

interface Module {
  /** In transformers; N is the number of the layer. */
  readonly name: string
  /** Whose heads its rows belong to, where they stand in pairs for the rotary embedding. */
  readonly rotary?: 'query' | 'key'
  /** Whether GGUF holds 1 + w, the factor of a norm, for w. */
  readonly aboveOne?: boolean
}

const LAYER = 'model.layers.N.'

const outside: Readonly<Record<string, Module>> = {
  token_embd: { name: 'model.embed_tokens' },
  output_norm: { name: 'model.norm' },
  output: { name: 'lm_head' },
  rope_freqs: { name: 'rope_freqs' }, // divisors of the rotary frequencies, no tensor of transformers
}
const gated: Readonly<Record<string, Module>> = {
  ...outside,
  'blk.N.attn_norm': { name: `${LAYER}input_layernorm` },
  'blk.N.attn_q': { name: `${LAYER}self_attn.q_proj` },
  'blk.N.attn_k': { name: `${LAYER}self_attn.k_proj` },
  'blk.N.attn_v': { name: `${LAYER}self_attn.v_proj` },
  'blk.N.attn_output': { name: `${LAYER}self_attn.o_proj` },
  'blk.N.ffn_norm': { name: `${LAYER}post_attention_layernorm` },
  'blk.N.ffn_gate': { name: `${LAYER}mlp.gate_proj` },
  'blk.N.ffn_up': { name: `${LAYER}mlp.up_proj` },
  'blk.N.ffn_down': { name: `${LAYER}mlp.down_proj` },
}
const headNorms: Readonly<Record<string, Module>> = {
  'blk.N.attn_q_norm': { name: `${LAYER}self_attn.q_norm` },
  'blk.N.attn_k_norm': { name: `${LAYER}self_attn.k_norm` },
}
const gemma: Readonly<Record<string, Module>> = {
  ...gated,
  ...headNorms,
  'blk.N.post_attention_norm': { name: `${LAYER}post_attention_layernorm` },
  'blk.N.ffn_norm': { name: `${LAYER}pre_feedforward_layernorm` },
  'blk.N.post_ffw_norm': { name: `${LAYER}post_feedforward_layernorm` },
}

const turned: Readonly<Record<string, Module>> = {
  ...gated,
  'blk.N.attn_q': { name: `${LAYER}self_attn.q_proj`, rotary: 'query' },
  'blk.N.attn_k': { name: `${LAYER}self_attn.k_proj`, rotary: 'key' },
}

/** Tensors that are settings: the factors of longrope. */
const settings: readonly string[] = ['rope_factors_short', 'rope_factors_long']

/** Modules by `general.architecture` and their name in GGUF. Files of Mistral models say llama, too. */
const architectures: ReadonlyMap<string, Readonly<Record<string, Module>>> = new Map([
  ['llama', turned],
  ['qwen2', gated],
  ['qwen3', { ...gated, ...headNorms }],
  [
    'phi3',
    {
      ...outside,
      'blk.N.attn_norm': { name: `${LAYER}input_layernorm` },
      'blk.N.attn_qkv': { name: `${LAYER}self_attn.qkv_proj` },
      'blk.N.attn_output': { name: `${LAYER}self_attn.o_proj` },
      'blk.N.ffn_norm': { name: `${LAYER}post_attention_layernorm` },
      'blk.N.ffn_up': { name: `${LAYER}mlp.gate_up_proj` },
      'blk.N.ffn_down': { name: `${LAYER}mlp.down_proj` },
    },
  ],
  ['smollm3', turned],
  [
    'gemma3',
    Object.fromEntries(
      Object.entries(gemma).map(([name, module]) => [name, { ...module, aboveOne: name.endsWith('_norm') }]),
    ),
  ],
])

/** A tensor of a GGUF file as transformers knows it. */
export interface NamedTensor {
  readonly ggufName: string
  readonly tensor: GgufTensor
  readonly module: Module
}

/**
 * The tensors of a file by their names in transformers.
 * @throws InputError for an architecture or a tensor that is not known.
 */
export function namedTensors(file: GgufFile): ReadonlyMap<string, NamedTensor> {
  const architecture = `${file.metadata.get('general.architecture')}`
  const modules = architectures.get(architecture)
  if (modules === undefined) {
    const known = [...architectures.keys()].join(', ')
    throw new InputError({ file: file.path }, `a model of the architecture ${known}`, `'${architecture}'`)
  }
  const tensors = new Map<string, NamedTensor>()
  for (const [ggufName, tensor] of file.tensors) {
    const [, layer, path, kind] = /^(?:blk\.(0|[1-9]\d*)\.)?(\w+)\.(weight|bias)$/.exec(ggufName) ?? []
    const key = layer === undefined ? path : `blk.N.${path}`
    if (settings.includes(key)) continue
    const module = Object.hasOwn(modules, key) ? modules[key] : undefined
    if (module === undefined) {
      throw new InputError({ file: file.path }, `tensors that a ${architecture} model has`, `'${ggufName}'`)
    }
    const name = module.name.replace('.N.', `.${layer}.`)
    tensors.set(`${name}.${kind}`, { ggufName, tensor, module })
  }
  return tensors
}

/**
 * A tensor as float32, with the rows of each head as transformers keeps them: GGUF has the two of a rotary pair side
 * by side, transformers half a head apart. Row 2i + j of a head becomes row i + j · rows / 2.
 * @throws InputError where the heads do not divide the rows.
 */
export function readNamed(file: GgufFile, named: NamedTensor): Float32Array<ArrayBuffer> {
  const values = file.readFloat32(named.ggufName)
  if (named.module.aboveOne) return values.map((value) => value - 1)
  const order = rowOrder(file, named)
  const width = values.length / named.tensor.shape[0]
  return order === undefined ? values : copyRows(values, new Float32Array(values.length), { order, width })
}

/** The same in the form in which the file holds a matrix. */
export function keepNamed(file: GgufFile, named: NamedTensor): KeptTensor {
  const kept = file.readKept(named.ggufName)
  if (!isStored(kept) || kept.shape.length !== 2) return { data: readNamed(file, named), shape: named.tensor.shape }
  const order = rowOrder(file, named)
  if (order === undefined) return kept
  if (kept.storage === 'blocks') return orderRows(kept, order)
  return { ...kept, data: copyRows(kept.data, kept.data.slice(), { order, width: kept.shape[1] }) }
}

/** The form in which `keepNamed` gives a tensor; null for float32. */
export function namedForm({ tensor: { type: name, shape } }: NamedTensor): Form | null {
  const type = blockTypes[name]
  if (shape.length !== 2 || type.storage === 'float32') return null
  if (type.storage !== 'blocks') return { storage: type.storage }
  return { storage: 'blocks', bits: type.bits, block: type.part, hasMinimums: type.hasMinimums }
}

/** For each row of a tensor as transformers has it, the row of the file; undefined where they are the same. */
function rowOrder(file: GgufFile, { ggufName, tensor, module: { rotary } }: NamedTensor): Int32Array | undefined {
  if (rotary === undefined) return undefined
  const heads = headCounts(file)[rotary]
  const half = tensor.shape[0] / heads / 2
  if (!Number.isInteger(half)) {
    throw new InputError({ file: file.path }, `rows of '${ggufName}' in ${heads} even heads`, `[${tensor.shape}]`)
  }
  const order = new Int32Array(tensor.shape[0])
  for (let pair = 0; pair < heads * half; pair++) {
    const row = 2 * pair - (pair % half) // (pair / half) heads before, each of 2 · half rows
    order[row] = 2 * pair
    order[row + half] = 2 * pair + 1
  }
  return order
}
