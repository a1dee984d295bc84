/** @file Samples the rollouts of questions into a file. What is in it is not sampled again. */
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { UserError } from '../base/errors.ts'
import { openLineLog, writeDurably } from '../base/files.ts'
import { sha256 } from '../base/hash.ts'
import { readLog } from '../base/lines.ts'
import type { Question } from '../data/prompt-rows.ts'
import type { Message, Prompt } from '../data/records.ts'
import { type Rollout, rolloutSchema } from '../data/rollout.ts'
import type { StageEvent, StageName } from '../data/stage-events.ts'
import {
  type Completion,
  type GenerateRequest,
  type Generator,
  IncompleteError,
  type Sampling,
} from '../rollout/generator.ts'
import { answersEqual } from '../text/answer/equal.ts'
import { extractAnswer } from '../text/answer/extract.ts'
import { parseSplitter, splitSteps } from '../text/steps.ts'
import type { SamplingSettings } from './generate-settings.ts'
import type { World } from './world.ts'

/** How questions are put, and answers read. */
export interface Asking {
  readonly system_prompt?: string
  readonly answer_start: string
  /** As `parseSplitter` reads it. */
  readonly splitter: string
  /** Where an answer is not marked as one, the last number is it. */
  readonly last_number?: boolean
}

export function askingOf({ system_prompt, answer_start, splitter, last_number }: Asking): Asking {
  return {
    ...(system_prompt === undefined ? {} : { system_prompt }),
    answer_start,
    splitter,
    ...(last_number ? { last_number } : {}),
  }
}

/** A question, and how its answer begins. */
export interface Beginning {
  readonly question: Question
  readonly continued: string
}

export interface SampleJob {
  readonly stage: StageName
  readonly generator: Generator
  readonly beginnings: readonly Beginning[]
  readonly samples: number
  readonly sampling: Sampling
  readonly asking: Asking
  /** The file of rollouts. */
  readonly path: string
  readonly world: World
}

/** With several samples greedy ones would all be the same. */
const TEMPERATURE = 0.8

export function samplingOf(settings: SamplingSettings, logprobs = false): Sampling {
  return {
    temperature: settings.temperature ?? (settings.num_samples === 1 ? 0 : TEMPERATURE),
    topP: settings.top_p,
    topK: settings.top_k,
    minP: settings.min_p,
    repetitionPenalty: settings.repetition_penalty,
    stop: settings.stop,
    maxTokens: settings.max_new_tokens,
    seed: settings.seed,
    logprobs,
  }
}

/** The prompt with the message of the system before it. */
export function askedPrompt(prompt: Prompt, system: string | undefined): Prompt {
  if (system === undefined || 'raw' in prompt) return prompt
  return { messages: [{ role: 'system', content: system }, ...prompt.messages] }
}

interface Wanted {
  readonly id: string
  readonly question: Question
  readonly request: GenerateRequest
}

/** The policy and how it samples, as text: equal makers give equal rollouts. */
function makerOf({ generator, sampling, asking }: SampleJob): string {
  const { stop, logprobs: _, ...numbers } = sampling
  const said = Object.entries(numbers).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  const texts = Object.entries({ stop: stop.length > 0 ? stop : undefined, ...asking }).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [`${name}=${JSON.stringify(value)}`],
  )
  return [generator.name, ...said, ...texts].join(' ')
}

/** Every rollout that the job is for: those of a question side by side, so that its prompt is computed once. */
function wantedRollouts({ beginnings, samples, sampling, asking }: SampleJob, maker: string): Wanted[] {
  return beginnings.flatMap(({ question, continued }) => {
    const prompt = askedPrompt(question.prompt, asking.system_prompt)
    const id = sha256(JSON.stringify([question.id, continued]))
    return Array.from({ length: samples }, (_, sample) => ({
      id: sha256(JSON.stringify([id, sample, maker, sampling.logprobs])),
      question,
      request: { id, prompt, continued, sample },
    }))
  })
}

/** The messages of a prompt, where they say more than its problem. */
function messagesOf(prompt: Prompt, problem: string): readonly Message[] | undefined {
  if ('raw' in prompt) return undefined
  const [first, ...more] = prompt.messages
  const isPlain = more.length === 0 && first?.role === 'user' && first.content === problem
  return isPlain ? undefined : prompt.messages
}

function makeRollout({ id, question }: Wanted, maker: string, completion: Completion, asking: Asking): Rollout {
  const { prompt, continued, sample } = completion.request
  const text = continued + completion.text
  const final = extractAnswer(text, { fallback: asking.last_number ? 'last-number' : 'none' })
  const asked = messagesOf(prompt, question.problem)
  const isRight = question.answer === null ? null : final !== null && answersEqual(final, question.answer)
  return {
    id,
    maker,
    problem: question.problem,
    ...(asked === undefined ? {} : { asked: [...asked] }),
    sample,
    completion: text,
    ...(continued === '' ? {} : { given: continued.length }),
    steps: splitSteps(text, parseSplitter(asking.splitter)).steps.map((step) => step.text),
    finish: completion.finish,
    tokens: completion.tokens,
    answer: question.answer,
    final_answer: final,
    final_answer_correct: isRight,
    ...(completion.logps === null ? {} : { logps: [...completion.logps] }),
  }
}

/** The rollouts of a file, by their ids. Lines that are none are passed over. */
export async function readRollouts(path: string): Promise<Map<string, Rollout>> {
  const known = new Map<string, Rollout>()
  if (!existsSync(path)) return known
  for await (const value of readLog(path)) {
    const parsed = rolloutSchema.safeParse(value)
    if (parsed.success) known.set(parsed.data.id, parsed.data)
  }
  return known
}

/**
 * Samples what the file lacks, appending as completions come. When all are there the file is put in the order of the
 * questions, with what it holds beside them behind, so that it is the same however often it was interrupted.
 * @returns the rollouts in that order; undefined where the world's signal stopped it.
 */
export async function* sampleRollouts(job: SampleJob): AsyncGenerator<StageEvent, readonly Rollout[] | undefined> {
  const { stage, generator, path, world, asking } = job
  mkdirSync(dirname(path), { recursive: true })
  const maker = makerOf(job)
  const wanted = wantedRollouts(job, maker)
  const known = await readRollouts(path)
  const order = [...known.keys()]
  const others = [...known.values()].filter((rollout) => rollout.maker !== maker)
  if (others.length > 0) throw otherMaker(path, others, maker)
  const open = wanted.filter(({ id }) => !known.has(id))
  const facts = `${generator.name} · ${job.beginnings.length} × ${job.samples}`
  const unit = 'rollouts'
  yield { type: 'stage-begin', stage, facts, known: wanted.length - open.length, total: wanted.length, unit }
  if (open.length > 0) {
    const byRequest = new Map(open.map((item) => [item.request, item]))
    const log = openLineLog(path)
    const started = world.seconds()
    let [done, tokens, right, answered] = [0, 0, 0, 0]
    try {
      for await (const completion of generator.generate(byRequest.keys(), job.sampling, world.signal)) {
        const item = byRequest.get(completion.request)
        if (item === undefined) throw new Error(`${generator.name}: completed what was not asked`)
        const rollout = makeRollout(item, maker, completion, asking)
        log.append(JSON.stringify(rollout))
        known.set(item.id, rollout)
        done++
        tokens += rollout.tokens
        right += Number(rollout.final_answer_correct === true)
        answered += Number(rollout.answer !== null)
        const seconds = world.seconds() - started
        const accuracy = answered === 0 ? '' : `${((100 * right) / answered).toFixed(1)} % right · `
        const note = `${accuracy}${Math.round(tokens / Math.max(seconds, 1e-3)).toLocaleString('en')} tok/s`
        yield { type: 'stage-progress', stage, done, total: open.length, unit, seconds, note }
      }
    } catch (error) {
      if (error instanceof IncompleteError) yield* missingRollouts(error, stage, open.length)
      if (!world.signal.aborted) throw error
      yield { type: 'stage-stopped', stage, done, total: open.length, folder: dirname(path) }
      return undefined
    } finally {
      log.sync()
      log.close()
    }
  }
  const rollouts = wanted.flatMap(({ id }) => known.get(id) ?? [])
  for (const { id } of wanted) known.delete(id)
  const all = [...rollouts, ...known.values()]
  if (all.some(({ id }, at) => id !== order[at])) writeDurably(path, linesOf(all))
  return rollouts
}

/** What a server did not give, once for each kind of failure. */
function* missingRollouts({ failures }: IncompleteError, stage: StageName, total: number): Iterable<StageEvent> {
  for (const [reason, facts] of failures)
    yield { type: 'items-dropped', stage, what: 'rollouts', total, reason, ...facts }
}

function otherMaker(path: string, [other, ...more]: readonly Rollout[], maker: string): UserError {
  return new UserError(
    `${path} holds ${more.length + 1} rollouts that were made otherwise: by ${other.maker}; now it is ${maker}. ` +
      'Choose another --output_dir',
  )
}

function* linesOf(rollouts: readonly Rollout[]): Iterable<string> {
  for (const rollout of rollouts) yield `${JSON.stringify(rollout)}\n`
}
