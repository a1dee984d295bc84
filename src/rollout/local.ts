/**
 * @file The local decoder as a generator. Sequences of all requests run side by side; one that ends gives its place to the
 * next at once. Samples of a prompt that follow each other share the computation of the prompt.
 */
import { UserError } from '../base/errors.ts'
import { type Random, random } from '../base/random.ts'
import { promptIds } from '../data/prompt-ids.ts'
import type { FloatArray } from '../engine/backend.ts'
import { argmax, type DecodedPrompt, type Decoder, type DecoderBatch } from '../model/decode.ts'
import { cacheBytes } from '../model/decode-graph.ts'
import { refuseNotFinite } from '../model/finite.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import { type Chooser, logProbability, makeChooser, penalise } from './choose.ts'
import type { Completion, GenerateRequest, Generator, Sampling } from './generator.ts'
import { type Decode, findStop, rememberTokens, watchStops } from './stops.ts'

/** A model that completes prompts. */
export interface Policy {
  readonly name: string
  readonly decoder: Decoder
  readonly tokenizer: Tokenizer
}

/** A completion that is being written. */
interface Sequence {
  readonly request: GenerateRequest
  /** The most tokens that it may have. */
  readonly room: number
  readonly ids: number[]
  readonly logps: number[]
  readonly source: Random
  /** The tokens that occurred, where a penalty needs them. */
  readonly occurred: Set<number>
  readonly completesStop: (id: number) => boolean
  /** Line ends that were written. */
  lines: number
}

/** What one call of `generate` works with. */
interface Work {
  readonly policy: Policy
  readonly sampling: Sampling
  /** Of the batch. */
  readonly places: number
  readonly decode: Decode
  readonly chooser: Chooser
  readonly batch: DecoderBatch
}

/** More at once make a token hardly cheaper. */
const MOST_PLACES = 64
/** Of the caches of all places, where nobody says how many. */
const CACHE_BYTES = 2e9
/** Tokens that a prompt is expected to have for that. */
const PROMPT_TOKENS = 256

function usualBatchSize({ config }: Decoder, { maxTokens }: Sampling): number {
  const bytes = cacheBytes(config) * Math.min(config.maxPositions, PROMPT_TOKENS + maxTokens)
  return Math.max(1, Math.min(MOST_PLACES, Math.floor(CACHE_BYTES / bytes)))
}

/**
 * Completes prompts with a model of ours, `batchSize` at a time: as many as pay and fit, where it is not given. The
 * completions do not depend on it.
 */
export function localGenerator(policy: Policy, batchSize?: number): Generator {
  return {
    name: policy.name,
    generate: (requests, sampling, signal) => {
      const { decoder, tokenizer } = policy
      const places = batchSize ?? usualBatchSize(decoder, sampling)
      const work: Work = {
        policy,
        sampling,
        places,
        decode: rememberTokens(tokenizer.decodeContinuation),
        chooser: makeChooser(decoder.config.vocabularySize),
        batch: decoder.openBatch(places),
      }
      return run(work, requests, signal)
    },
  }
}

async function* run(work: Work, requests: Iterable<GenerateRequest>, signal: AbortSignal): AsyncGenerator<Completion> {
  const running: Sequence[] = []
  const begin = promptStarter(work)
  for (const request of requests) {
    signal.throwIfAborted()
    const begun = await begin(request, running.length)
    if ('text' in begun) yield begun
    else running.push(begun)
    while (running.length === work.places) yield* step(work, running, signal)
  }
  while (running.length > 0) yield* step(work, running, signal)
}

/** Adds a token to all sequences. Those that it ends give up their places to the last ones. */
async function* step(work: Work, running: Sequence[], signal: AbortSignal): AsyncGenerator<Completion> {
  signal.throwIfAborted()
  const { data, shape } = await work.batch.step(running.map(({ ids }) => ids[ids.length - 1]))
  const width = shape[1]
  const ends = running.map((sequence, at) => advance(work, sequence, data.subarray(at * width, (at + 1) * width)))
  for (let at = running.length - 1; at >= 0; at--) {
    const completion = ends[at]
    if (completion === undefined) continue
    const last = running.length - 1
    if (at < last) work.batch.move(last, at)
    running[at] = running[last]
    running.pop()
    yield completion
  }
}

/** Begins a request at a place: the sequence after its first token, or the completion where that ends it. */
function promptStarter(work: Work) {
  const { decoder } = work.policy
  let known: { readonly key: string; readonly ids: readonly number[]; readonly prompt: DecodedPrompt } | undefined
  return async (request: GenerateRequest, place: number): Promise<Sequence | Completion> => {
    const key = JSON.stringify([request.prompt, request.continued])
    const ids = known?.key === key ? known.ids : requestIds(work.policy, request)
    const sequence = beginSequence(work, request, ids)
    if (sequence.room <= 0) return complete(work, sequence, 'length')
    if (known?.key !== key) known = { key, ids, prompt: await decoder.prompt(ids) }
    const completion = advance(work, sequence, known.prompt.logits)
    if (completion === undefined) work.batch.start(place, known.prompt)
    return completion ?? sequence
  }
}

/** The tokens of prompt and what was written so far, as training joins them: each encoded for itself. */
function requestIds({ decoder, tokenizer }: Policy, { id, prompt, continued }: GenerateRequest): readonly number[] {
  const isRendered = 'raw' in prompt
  const encode = isRendered ? tokenizer.encodeRenderedContinuation : tokenizer.encodeContinuation
  const asked = promptIds(prompt, () => tokenizer)
  const ids = continued === '' ? asked : [...asked, ...encode(continued)]
  const { vocabularySize } = decoder.config
  const strange = ids.find((token) => !(token >= 0 && token < vocabularySize))
  if (strange !== undefined)
    throw new UserError(`prompt ${id}: token id ${strange} is not in the vocabulary of ${vocabularySize}`)
  if (ids.length === 0) throw new UserError(`prompt ${id}: expected a token at least, found none`)
  return ids
}

function beginSequence(
  { policy, sampling, decode }: Work,
  request: GenerateRequest,
  prompt: readonly number[],
): Sequence {
  return {
    request,
    room: Math.min(sampling.maxTokens, policy.decoder.config.maxPositions - prompt.length),
    ids: [],
    logps: [],
    source: random(sampling.seed, 'rollout', request.id, request.sample),
    occurred: new Set(sampling.repetitionPenalty === 1 ? [] : prompt),
    completesStop: watchStops(decode, sampling.stop),
    lines: 0,
  }
}

/** Adds the token that follows. Gives the completion where it ends one. */
function advance(work: Work, sequence: Sequence, logits: FloatArray): Completion | undefined {
  const { sampling, policy, chooser } = work
  const { ids, logps, occurred, room } = sequence
  const penalised = sampling.repetitionPenalty === 1 ? logits : penalise(logits, occurred, sampling.repetitionPenalty)
  const temperature = temperatureAt(sampling, sequence.lines)
  const id =
    temperature === 0
      ? argmax(penalised)
      : chooser.choose(penalised, { ...sampling, temperature }, sequence.source.uniform())
  refuseNotFinite(`${policy.name}: prompt ${sequence.request.id}`, Float32Array.of(logits[id]))
  if (policy.tokenizer.eosIds.includes(id)) return complete(work, sequence, 'stop')
  ids.push(id)
  if (sampling.heat !== undefined && work.decode([id]).includes('\n')) sequence.lines++
  if (sampling.logprobs) logps.push(logProbability(logits, id))
  if (sampling.repetitionPenalty !== 1) occurred.add(id)
  if (sequence.completesStop(id)) return complete(work, sequence, 'stop')
  return ids.length < room ? undefined : complete(work, sequence, 'length')
}

function temperatureAt({ temperature, heat }: Sampling, lines: number): number {
  return heat === undefined ? temperature : Math.min(heat.most, temperature + heat.perLine * lines)
}

function complete({ policy, sampling }: Work, sequence: Sequence, finish: Completion['finish']): Completion {
  const { request, ids, logps } = sequence
  const text = policy.tokenizer.decodeContinuation(ids)
  const cut = findStop(text, sampling.stop)
  return {
    request,
    text: cut === undefined ? text : text.slice(0, cut.at),
    ids,
    tokens: ids.length,
    finish,
    stop: cut?.stop ?? null,
    logps: sampling.logprobs ? logps : null,
  }
}
