/** @file Decoding with a key-value cache: the layer programs of training, fed a few tokens at a time. */
import { type FloatArray, rowsOf, type Tensor } from '../engine/backend.ts'
import { elementCount } from '../engine/dims.ts'
import { type FedLayers, fedLayer } from './forward.ts'
import { headLogits } from './head-pass.ts'
import { type Machine, runPart } from './machine.ts'

type Floats = Tensor<FloatArray>

/** A sequence that grows. */
export interface Decoder {
  /** Appends tokens; gives the logits [vocabulary] of what follows the last. */
  feed(ids: readonly number[]): Promise<FloatArray>
}

/** Keys and values of one layer for the tokens so far, in buffers that double when they are full. */
interface Cache {
  key: Floats
  value: Floats
}

function grown(machine: Machine, tensor: Floats, rows: number): Floats {
  if (tensor.shape[0] >= rows) return tensor
  const shape = [Math.max(rows, 2 * tensor.shape[0]), tensor.shape[1]]
  const data = machine.backend.allocate(elementCount(shape))
  data.set(tensor.data)
  return { data, shape }
}

/** 0 where a query sees a key of [first, first + keys), −1e30 elsewhere; queries begin at token `start`. */
function causalMask(queries: number, start: number, keys: readonly [number, number], window: number): Tensor {
  const [first, end] = keys
  const mask = new Float32Array(queries * (end - first)).fill(-1e30)
  for (let query = 0; query < queries; query++) {
    const own = start + query
    for (let key = Math.max(first, own - window + 1); key <= own; key++) mask[query * (end - first) + key - first] = 0
  }
  return { data: mask, shape: [queries, end - first] }
}

/** Starts an empty sequence. */
export function openDecoder(machine: Machine, layers: FedLayers): Decoder {
  const { config } = machine
  const keyWidth = config.keyValueHeads * config.headSize
  const empty = (): Floats => ({ data: machine.backend.allocate(0), shape: [0, keyWidth] })
  const caches: Cache[] = layers.layers.map(() => ({ key: empty(), value: empty() }))
  let length = 0

  const feedPiece = async (ids: readonly number[]): Promise<Floats> => {
    const tokens = ids.length
    const end = length + tokens
    const take = (name: string, width: number): Floats => machine.workspace.take(`decode ${name}`, [tokens, width])
    const query = take('query', config.heads * config.headSize)
    const attended = take('attended', config.heads * config.headSize)
    const angles = machine.angles(Int32Array.from(ids, (_, at) => length + at))
    const window = config.slidingWindow ?? end
    const keys = [Math.max(0, length - window + 1), end] as const
    const mask = causalMask(tokens, length, keys, window)
    let [x, y] = [take('x', config.hiddenSize), take('y', config.hiddenSize)]
    machine.embed(ids, x)
    for (const [at, cache] of caches.entries()) {
      cache.key = grown(machine, cache.key, end)
      cache.value = grown(machine, cache.value, end)
      const { parts, tensors } = fedLayer(layers, at, { tokens }, false)
      const [key, value] = [rowsOf(cache.key, length, end), rowsOf(cache.value, length, end)]
      const projected = { tokens: { query, key, value } }
      await runPart(machine, parts.project.forward, { tokens: { x, ...angles }, shared: tensors }, projected)
      const seen = { key: rowsOf(cache.key, ...keys), value: rowsOf(cache.value, ...keys) }
      await machine.run(machine.attention.forward, { query, ...seen, mask }, { attended })
      await runPart(machine, parts.mix.forward, { tokens: { x, attended }, shared: tensors }, { tokens: { y } })
      ;[x, y] = [y, x]
    }
    length = end
    return x
  }

  return {
    feed: async (ids) => {
      if (ids.length === 0) throw new Error('decode: expected at least one token')
      const piece = machine.cuts.blockTokens
      let hidden: Floats | undefined
      for (let start = 0; start < ids.length; start += piece) hidden = await feedPiece(ids.slice(start, start + piece))
      if (hidden === undefined) throw new Error('decode: no token was fed')
      const last = hidden.shape[0]
      return (await headLogits(machine, rowsOf(hidden, last - 1, last))).data
    },
  }
}

/** The index of the largest number, the first of equal ones. */
function argmax(numbers: FloatArray): number {
  let best = 0
  for (let at = 1; at < numbers.length; at++) if (numbers[at] > numbers[best]) best = at
  return best
}

export interface GreedyOptions {
  readonly maxNewTokens: number
  /** Tokens after which nothing follows. They are not given. */
  readonly endIds: readonly number[]
}

/** The most likely continuation of a prompt, token by token. */
export async function* decodeGreedily(
  machine: Machine,
  layers: FedLayers,
  prompt: readonly number[],
  { maxNewTokens, endIds }: GreedyOptions,
): AsyncGenerator<number> {
  const decoder = openDecoder(machine, layers)
  let logits = await decoder.feed(prompt)
  for (let count = 1; ; count++) {
    const id = argmax(logits)
    if (endIds.includes(id) || count > maxNewTokens) return
    yield id
    if (count === maxNewTokens) return
    logits = await decoder.feed([id])
  }
}
