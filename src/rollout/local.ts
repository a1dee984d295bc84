/**
 * @file The local decoder as a generator. Sequences of all requests run side by side; one that ends gives its place to the
 * next at once. Samples of a prompt that follow each other share the computation of the prompt.
 */
import { UserError } from '../base/errors.ts'
import { type Random, random } from '../base/random.ts'
import type { FloatArray } from '../engine/backend.ts'
import { argmax, type DecodedPrompt, type Decoder, type DecoderBatch } from '../model/decode.ts'
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
  readonly promptLength: number
  readonly ids: number[]
  readonly logps: number[]
  readonly source: Random
  /** The tokens that occurred, where a penalty needs them. */
  readonly occurred: Set<number>
  readonly completesStop: (id: number) => boolean
}

/** What one call of `generate` works with. */
interface Work {
  readonly policy: Policy
  readonly sampling: Sampling
  readonly decode: Decode
  readonly chooser: Chooser
  readonly batch: DecoderBatch
}

/** Completes prompts with a model of ours, up to `batchSize` at a time. The completions do not depend on it. */
export function localGenerator(policy: Policy, batchSize: number): Generator {
  return {
    name: policy.name,
    generate: (requests, sampling, signal) => {
      const { decoder, tokenizer } = policy
      const work: Work = {
        policy,
        sampling,
        decode: rememberTokens(tokenizer.decodeContinuation),
        chooser: makeChooser(decoder.config.vocabularySize),
        batch: decoder.openBatch(batchSize),
      }
      return run(work, requests, batchSize, signal)
    },
  }
}

async function* run(
  work: Work,
  requests: Iterable<GenerateRequest>,
  batchSize: number,
  signal: AbortSignal,
): AsyncGenerator<Completion> {
  const running: Sequence[] = []
  const starter = promptStarter(work)
  const waiting = requests[Symbol.iterator]()
  for (let isEmpty = false; ; ) {
    while (!isEmpty && running.length < batchSize) {
      signal.throwIfAborted()
      const next = waiting.next()
      if (next.done === true) isEmpty = true
      else {
        const started = await starter(next.value, running.length)
        if ('text' in started) yield started
        else running.push(started)
      }
    }
    if (running.length === 0) return
    signal.throwIfAborted()
    const logits = await work.batch.step(running.map(({ ids }) => ids[ids.length - 1]))
    const width = logits.shape[1]
    const ends = running.map((sequence, at) =>
      advance(work, sequence, logits.data.subarray(at * width, (at + 1) * width)),
    )
    // From the last on, so that what moves to a free place has been seen.
    for (let at = running.length - 1; at >= 0; at--) {
      const completion = ends[at]
      if (completion === undefined) continue
      const last = running.length - 1
      if (at !== last) {
        running[at] = running[last]
        work.batch.move(last, at)
      }
      running.pop()
      yield completion
    }
  }
}

/** Begins a request at a place: the sequence after its first token, or the completion where that ends it. */
function promptStarter(work: Work) {
  let known: { key: string; prompt: DecodedPrompt; ids: readonly number[] } | undefined
  return async (request: GenerateRequest, place: number): Promise<Sequence | Completion> => {
    const key = JSON.stringify([request.prompt, request.continued])
    if (known?.key !== key) {
      const ids = promptIds(work.policy, request)
      known = { key, ids, prompt: await work.policy.decoder.prompt(ids) }
    }
    const sequence = beginSequence(work, request, known.ids)
    const completion = advance(work, sequence, known.prompt.logits)
    if (completion === undefined) work.batch.start(place, known.prompt)
    return completion ?? sequence
  }
}

/** The tokens of prompt and what was written so far, as training joins them: each encoded for itself. */
function promptIds({ decoder, tokenizer }: Policy, { id, prompt, continued }: GenerateRequest): readonly number[] {
  const isRendered = 'raw' in prompt
  const encode = isRendered ? tokenizer.encodeRenderedContinuation : tokenizer.encodeContinuation
  const asked = isRendered ? rawIds(tokenizer, prompt.raw) : tokenizer.chatPrompt(prompt.messages)
  const ids = continued === '' ? asked : [...asked, ...encode(continued)]
  const { vocabularySize } = decoder.config
  const strange = ids.find((token) => !(token >= 0 && token < vocabularySize))
  if (strange !== undefined)
    throw new UserError(`prompt ${id}: token id ${strange} is not in the vocabulary of ${vocabularySize}`)
  if (ids.length === 0) throw new UserError(`prompt ${id}: expected a token at least, found none`)
  return ids
}

function rawIds(tokenizer: Tokenizer, raw: string | readonly number[]): readonly number[] {
  return typeof raw === 'string' ? tokenizer.rawPrompt(raw) : raw
}

function beginSequence({ sampling, decode }: Work, request: GenerateRequest, prompt: readonly number[]): Sequence {
  return {
    request,
    promptLength: prompt.length,
    ids: [],
    logps: [],
    source: random(sampling.seed, 'rollout', request.id, request.sample),
    occurred: new Set(sampling.repetitionPenalty === 1 ? [] : prompt),
    completesStop: watchStops(decode, sampling.stop),
  }
}

/** Adds the token that follows. Gives the completion where it ends one. */
function advance(work: Work, sequence: Sequence, logits: FloatArray): Completion | undefined {
  const { sampling, policy, chooser } = work
  const { ids, logps, occurred } = sequence
  const room = Math.min(sampling.maxTokens, policy.decoder.config.maxPositions - sequence.promptLength)
  if (room <= 0) return complete(work, sequence, 'length')
  const penalised = sampling.repetitionPenalty === 1 ? logits : penalise(logits, occurred, sampling.repetitionPenalty)
  const id =
    sampling.temperature === 0 ? argmax(penalised) : chooser.choose(penalised, sampling, sequence.source.uniform())
  if (policy.tokenizer.eosIds.includes(id)) return complete(work, sequence, 'stop')
  ids.push(id)
  if (sampling.logprobs) logps.push(logProbability(logits, id))
  if (sampling.repetitionPenalty !== 1) occurred.add(id)
  if (sequence.completesStop(id)) return complete(work, sequence, 'stop')
  return ids.length < room ? undefined : complete(work, sequence, 'length')
}

function complete({ policy, sampling }: Work, sequence: Sequence, finish: Completion['finish']): Completion {
  const { request, ids, logps } = sequence
  const text = policy.tokenizer.decodeContinuation(ids)
  const cut = findStop(text, sampling.stop)
  return {
    request,
    text: cut === undefined ? text : text.slice(0, cut.at),
    ids,
    finish,
    stop: cut?.stop ?? null,
    logps: sampling.logprobs ? logps : null,
  }
}
