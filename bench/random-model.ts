/** @file Folders with a model of random weights in the shape of a real one, as large as it, for benchmarks of memory. */
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { writeTinyModel } from '../scripts/tiny-model.ts'
import { random } from '../src/base/random.ts'
import { elementCount } from '../src/engine/dims.ts'
import { toBfloat16, toFloat16 } from '../src/engine/half.ts'
import { families, parseModelConfig } from '../src/model/families.ts'
import { tensorShapes } from '../src/model/weights.ts'

type Json = Readonly<Record<string, unknown>>
type Shapes = ReadonlyMap<string, readonly number[]>

const CHUNK_BYTES = 64 << 20

/** Bytes at random: a block of them, again and again. Only the size of the numbers matters. */
function randomBytes(length: number): Uint8Array {
  const draw = random(0, 'random model')
  const words = new Uint32Array(Math.ceil(length / 4))
  let value = draw.uint32()
  for (let at = 0; at < words.length; at++) {
    value = (Math.imul(value, 1664525) + 1013904223) >>> 0
    words[at] = value ^ (value >>> 13)
  }
  return new Uint8Array(words.buffer, 0, length)
}

function writeRepeated(file: number, pattern: Uint8Array, bytes: number): void {
  for (let left = bytes; left > 0; left -= pattern.length) writeSync(file, pattern, 0, Math.min(left, pattern.length))
}

/** bfloat16 numbers of magnitude 2^-7 to 2^-6 with either sign. */
function bfloat16Pattern(): Uint8Array {
  const words = new Uint16Array(randomBytes(CHUNK_BYTES).buffer)
  for (let at = 0; at < words.length; at++) words[at] = (words[at] & 0x807f) | 0x3c00
  return new Uint8Array(words.buffer)
}

/** Blocks of Q4_0: a scale that makes values of about 0.02, then 16 random bytes. */
function q40Pattern(): Uint8Array {
  const bytes = randomBytes(Math.floor(CHUNK_BYTES / 18) * 18)
  const scale = new Uint8Array(toFloat16(Float32Array.of(0.0043)).buffer)
  for (let at = 0; at < bytes.length; at += 18) bytes.set(scale, at)
  return bytes
}

/** A folder with config.json, a small tokenizer and weights. */
function prepare(folder: string, config: Json): Shapes {
  mkdirSync(folder, { recursive: true })
  writeTinyModel(folder, 0) // for its tokenizer
  rmSync(join(folder, 'model.safetensors'))
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  const parsed = parseModelConfig(config, folder)
  return tensorShapes(families[parsed.family], parsed)
}

/** Writes a model in bfloat16, one file of safetensors. */
export function writeBfloat16(folder: string, config: Json): void {
  const shapes = prepare(folder, config)
  let end = 0
  const header: Record<string, Json> = {}
  for (const [name, shape] of shapes) {
    const start = end
    end += 2 * elementCount(shape)
    header[name] = { dtype: 'BF16', shape, data_offsets: [start, end] }
  }
  const head = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(head.length))
  const file = openSync(join(folder, 'model.safetensors'), 'w')
  const pattern = bfloat16Pattern()
  const ones = new Uint8Array(toBfloat16(new Float32Array(1 << 20).fill(1)).buffer)
  writeSync(file, length)
  writeSync(file, head)
  for (const shape of shapes.values()) {
    writeRepeated(file, shape.length === 1 ? ones : pattern, 2 * elementCount(shape))
  }
  closeSync(file)
}

/** A GGUF file under construction. */
function ggufText(text: string): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)))
  return Buffer.concat([length, Buffer.from(text)])
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

const ggufModules: Readonly<Record<string, string>> = {
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
}

function ggufName(name: string): string {
  const [, layer, module] = /^model\.layers\.(\d+)\.(.*)\.weight$/.exec(name) ?? []
  if (layer !== undefined) return `blk.${layer}.${ggufModules[module]}.weight`
  return (
    { 'model.embed_tokens.weight': 'token_embd.weight', 'model.norm.weight': 'output_norm.weight' }[name] ??
    'output.weight'
  )
}

const GGUF_TYPES = { F32: 0, F16: 1, Q4_0: 2 }
const STRING = 8
const UINT32 = 4

/** Writes a Llama in GGUF: its linears in Q4_0, embedding and head in F16. */
export function writeQ40(
  folder: string,
  config: Json & { num_attention_heads: number; num_key_value_heads: number },
): void {
  const shapes = prepare(folder, config)
  const plan = [...shapes].map(([name, shape]) => {
    const count = elementCount(shape)
    if (shape.length === 1) return { name, shape, type: GGUF_TYPES.F32, bytes: 4 * count }
    return name.startsWith('model.layers')
      ? { name, shape, type: GGUF_TYPES.Q4_0, bytes: (count / 32) * 18 }
      : { name, shape, type: GGUF_TYPES.F16, bytes: 2 * count }
  })
  const align = (offset: number): number => Math.ceil(offset / 32) * 32
  const facts = [
    [ggufText('general.architecture'), u32(STRING), ggufText('llama')],
    [ggufText('llama.attention.head_count'), u32(UINT32), u32(config.num_attention_heads)],
    [ggufText('llama.attention.head_count_kv'), u32(UINT32), u32(config.num_key_value_heads)],
  ]
  let end = 0
  const infos = plan.map(({ name, shape, type, bytes }) => {
    const offset = align(end)
    end = offset + bytes
    return Buffer.concat([
      ggufText(ggufName(name)),
      u32(shape.length),
      ...shape.toReversed().map(u64),
      u32(type),
      u64(offset),
    ])
  })
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(plan.length),
    u64(facts.length),
    ...facts.flat(),
    ...infos,
  ])
  const file = openSync(join(folder, 'model.gguf'), 'w')
  const half = new Uint8Array(
    toFloat16(new Float32Array(1 << 20).map((_, at) => ((at * 7919) % 97) / 2400 - 0.02)).buffer,
  )
  const patterns = [new Uint8Array(new Float32Array(1 << 20).fill(1).buffer), half, q40Pattern()]
  writeSync(file, head)
  writeSync(file, Buffer.alloc(align(head.length) - head.length))
  for (const { type, bytes } of plan) {
    writeRepeated(file, patterns[type], bytes)
    writeSync(file, Buffer.alloc(align(bytes) - bytes))
  }
  closeSync(file)
}
