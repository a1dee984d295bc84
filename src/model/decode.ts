/**
 * @file Decoding: sequences that grow by a token each at every step, all in one program that holds the weights. What a
 * sequence gets does not depend on the others beside it, bit for bit.
 */
import { type Backend, type FloatArray, type Held, rowsOf, type Tensor } from '../engine/backend.ts'
import { toBlocks } from '../engine/block-tensor.ts'
import { elementCount } from '../engine/dims.ts'
import { float32Of, isBlocks } from '../engine/stored.ts'
import { type Cache, makeCache } from './cache.ts'
import type { ModelConfig } from './config.ts'
import { angleFeeds, appended, buildDecode, cacheLayout, type Factored } from './decode-graph.ts'
import { families } from './families.ts'
import { refuseNotFinite } from './finite.ts'
import { type Adapter, FACTOR_A, loraScale } from './lora.ts'
import type { Machine } from './machine.ts'
import { mergeLayers } from './merge.ts'
import { type KeptTensor, layerName } from './weights.ts'

type Floats = Tensor<FloatArray>

/**
 * How the weights of products are held: as they are, or rounded to so many bits in blocks. Weights that are kept in blocks
 * without minimums stay in them, unless they have more bits than that.
 */
export const STORAGES = ['float32', 'int8', 'int4'] as const
export type Storage = (typeof STORAGES)[number]

export interface DecoderOptions {
  /** Added to the weights as they are now. */
  readonly adapter?: Adapter
  readonly storage?: Storage
}

/** A model that decodes. It holds its own copy of the weights: later changes of the model do not reach it. */
export interface Decoder {
  readonly config: ModelConfig
  /** Computes a prompt of at least one token. */
  prompt(ids: readonly number[]): Promise<DecodedPrompt>
  /** Empty places for so many sequences. */
  openBatch(places: number): DecoderBatch
  dispose(): Promise<void>
}

export interface DecodedPrompt {
  /** Of what follows it, [vocabulary]. */
  readonly logits: FloatArray
  readonly cache: Cache
  readonly length: number
}

export interface DecoderBatch {
  /** Copies a prompt into a place, from which a sequence grows. */
  start(place: number, prompt: DecodedPrompt): void
  /** Puts a sequence at another place. */
  move(from: number, to: number): void
  /** Appends a token to each of the first sequences. Their logits [sequences, vocabulary], valid until the next step. */
  step(ids: readonly number[]): Promise<Floats>
}

/** Tokens of a prompt that are computed at once. */
const PROMPT_TOKENS = 512

/** New tokens: one for each of several sequences, or several of one. */
interface Piece {
  readonly ids: readonly number[]
  readonly positions: Int32Array
  /** The lengths of the sequences with these tokens. */
  readonly ends: Int32Array
  /** The tokens whose logits are wanted. */
  readonly rows: Int32Array
  readonly cache: Cache
}

/** Appends a piece to its cache and writes the logits [rows, vocabulary]. */
type Compute = (piece: Piece, logits: Floats) => Promise<void>

/** Compiles a model for decoding. */
export async function openDecoder(machine: Machine, options: DecoderOptions = {}): Promise<Decoder> {
  const { backend, config } = machine
  const beside = factorsBeside(machine, options)
  const held = await heldWeights(machine, options, beside)
  const spread = Object.values(held).some((tensor) => isBlocks(tensor) && tensor.bits === 4)
  const program = await backend.compile(
    buildDecode(families[config.family], config, { factored: beside, spread }),
    held,
  )
  const compute: Compute = async ({ ids, positions, ends, rows, cache }, logits) => {
    const tokens = Int32Array.from(ids.keys())
    const places = spread ? twoOrMore(tokens) : tokens
    const wanted = spread ? twoOrMore(rows) : rows
    const x = zeros(backend, [places.length, config.hiddenSize])
    machine.embed(
      Array.from(places, (at) => ids[at]),
      x,
    )
    const found = wanted === rows ? logits : zeros(backend, [wanted.length, config.vocabularySize])
    const before = cache.tensors(ends.length)
    const after = Object.fromEntries(Object.entries(before).map(([name, tensor]) => [appended(name), tensor]))
    const feeds = {
      x,
      ...angleFeeds(machine.angles(places.map((at) => positions[at]))),
      ...(spread ? { tokens: list(tokens), places: list(places) } : {}),
      ends: list(ends),
      rows: list(wanted),
      ...before,
    }
    await program.run(feeds, { logits: found, ...after })
    if (found !== logits) logits.data.set(rowsOf(found, 0, rows.length).data)
  }
  return {
    config,
    prompt: (ids) => computePrompt(machine, compute, ids),
    openBatch: (places) => openBatch(machine, compute, places),
    dispose: () => program.dispose(),
  }
}

/** Of one entry two, as int4 products of a single row round otherwise than those of more (MLAS for AVX2). */
function twoOrMore(items: Int32Array): Int32Array {
  return items.length === 1 ? Int32Array.of(items[0], items[0]) : items
}

function list(data: Int32Array): Tensor<Int32Array> {
  return { data, shape: [data.length] }
}

function zeros(backend: Backend, shape: readonly number[]): Floats {
  return { data: backend.allocate(elementCount(shape)), shape }
}

async function computePrompt(
  { backend, config }: Machine,
  compute: Compute,
  ids: readonly number[],
): Promise<DecodedPrompt> {
  if (ids.length === 0) throw new Error('decode: expected a prompt of at least one token')
  const cache = makeCache(backend, cacheLayout(config), 1)
  cache.reserve(ids.length)
  const logits = zeros(backend, [1, config.vocabularySize])
  for (let start = 0; start < ids.length; start += PROMPT_TOKENS) {
    const piece = ids.slice(start, start + PROMPT_TOKENS)
    const positions = Int32Array.from(piece, (_, at) => start + at)
    const ends = Int32Array.of(start + piece.length)
    await compute({ ids: piece, positions, ends, rows: Int32Array.of(piece.length - 1), cache }, logits)
  }
  return { logits: logits.data, cache, length: ids.length }
}

function openBatch({ backend, config }: Machine, compute: Compute, places: number): DecoderBatch {
  const cache = makeCache(backend, cacheLayout(config), places)
  const lengths = new Int32Array(places)
  const everyRow = Int32Array.from(lengths.keys())
  const logits = zeros(backend, [places, config.vocabularySize])
  return {
    start: (place, prompt) => {
      cache.reserve(prompt.length + 1)
      cache.copy(prompt.cache, 0, place, prompt.length)
      lengths[place] = prompt.length
    },
    move: (from, to) => {
      cache.copy(cache, from, to, lengths[from])
      lengths[to] = lengths[from]
    },
    step: async (ids) => {
      const positions = lengths.slice(0, ids.length)
      const ends = positions.map((length) => length + 1)
      cache.reserve(Math.max(...ends))
      const into = rowsOf(logits, 0, ids.length)
      await compute({ ids, positions, ends, rows: everyRow.subarray(0, ids.length), cache }, into)
      lengths.set(ends)
      return into
    },
  }
}

/** The factors of an adapter that are not merged: weights in blocks would have to be rounded again. */
function factorsBeside({ weights }: Machine, { adapter }: DecoderOptions): Factored | undefined {
  if (adapter === undefined || !weights.layers.some((tensors) => Object.values(tensors).some(isBlocks)))
    return undefined
  const modules = adapter.layers.flatMap((tensors, layer) =>
    Object.keys(tensors)
      .filter((name) => name.endsWith(FACTOR_A))
      .map((name) => layerName(layer, name.slice(0, -FACTOR_A.length))),
  )
  return { modules: new Set(modules), rank: adapter.settings.rank, scale: loraScale(adapter.settings) }
}

/** The weights under the names of the graph's inputs. */
async function heldWeights(
  { backend, weights }: Machine,
  { adapter, storage = 'float32' }: DecoderOptions,
  beside: Factored | undefined,
): Promise<Held> {
  const held: Record<string, Held[string]> = {}
  const merging = adapter !== undefined && beside === undefined
  const layers = merging ? await mergeLayers(backend, weights.layers, adapter) : weights.layers
  for (const [layer, tensors] of layers.entries()) {
    for (const [name, tensor] of Object.entries(tensors)) held[layerName(layer, name)] = heldForm(tensor, storage)
    if (beside === undefined) continue
    for (const [name, factor] of Object.entries(adapter?.layers[layer] ?? {})) held[layerName(layer, name)] = factor
  }
  for (const [name, tensor] of Object.entries(weights.head)) held[name] = heldForm(tensor, storage)
  return held
}

const bitsOf = { float32: 8, int8: 8, int4: 4 } as const

function heldForm(tensor: KeptTensor, storage: Storage): Held[string] {
  const bits = bitsOf[storage]
  if (isBlocks(tensor) && tensor.minimums === undefined && tensor.bits <= bits) return tensor
  const isRounded = tensor.shape.length === 2 && storage !== 'float32'
  return isRounded ? toBlocks(float32Of(tensor), bits) : float32Of(tensor)
}

/** The index of the largest number of logits[start, end), counted from start; the first of equal ones. */
export function argmax(logits: FloatArray, start = 0, end = logits.length): number {
  let best = start
  for (let at = start + 1; at < end; at++) if (logits[at] > logits[best]) best = at
  return best - start
}

export interface GreedyOptions {
  readonly maxNewTokens: number
  /** Tokens after which nothing follows. They are not given. */
  readonly endIds: readonly number[]
  /** The model's, for messages. */
  readonly name?: string
}

/**
 * The most likely continuation of a prompt, token by token.
 * @throws UserError where the largest logit is not finite.
 */
export async function* decodeGreedily(
  decoder: Decoder,
  prompt: readonly number[],
  { maxNewTokens, endIds, name = 'the model' }: GreedyOptions,
): AsyncGenerator<number> {
  const batch = decoder.openBatch(1)
  const begun = await decoder.prompt(prompt)
  batch.start(0, begun)
  let { logits } = begun
  for (let count = 1; ; count++) {
    const id = argmax(logits)
    refuseNotFinite(name, Float32Array.of(logits[id])) // NaN is the largest where the first is one
    if (endIds.includes(id) || count > maxNewTokens) return
    yield id
    if (count === maxNewTokens) return
    logits = (await batch.step([id])).data
  }
}
