/** @file Which of two next steps is better: asked in both orders, so that the order decides nothing. */
import { z } from 'zod'
import type { FailureKind } from '../data/judgement.ts'
import { askReadably, type Heard } from './ask-readably.ts'
import type { ChatReply, ChatRequest } from './chat.ts'
import { makeFence } from './fence.ts'
import type { ModelJudgeOptions } from './model-judge.ts'
import { addUsage, NO_USAGE, type Solution, type Usage } from './port.ts'
import * as prompt from './prompts/pairwise.ts'
import { dataOf, piecesOf } from './prompts/parts.ts'
import { type Readable, readObject } from './reply.ts'
import { unaskedSteps } from './unasked.ts'

/** `isConsistent`: whether both orders gave the same answer; null where they did not both give one. */
export type Comparison =
  /** `winner` null: neither is better. */
  | { readonly state: 'scored'; readonly winner: 'a' | 'b' | null; readonly isConsistent: true; readonly why: string }
  /** The answer turned with the order, or nobody was asked. */
  | { readonly state: 'abstained'; readonly winner: null; readonly isConsistent: false | null; readonly why: string }
  | {
      readonly state: 'failed'
      readonly winner: null
      readonly isConsistent: null
      readonly kind: FailureKind
      readonly why: string
    }

/** Compares two continuations of the steps of a solution. Never throws for what a provider does. */
export interface PairJudge {
  readonly name: string
  compare(
    prefix: Solution,
    pair: readonly [string, string],
    signal: AbortSignal,
  ): Promise<Comparison & { readonly usage: Usage }>
}

export type PairJudgeOptions = Omit<ModelJudgeOptions, 'mode' | 'shots'>

const BETTER = ['A', 'B', 'tie'] as const

interface Answer {
  readonly better: (typeof BETTER)[number]
  readonly reason: string
}

interface Question {
  readonly messages: ChatRequest['messages']
  readonly schema: ChatRequest['schema']
  read(reply: ChatReply): Readable<Answer>
}

function questionOf(prefix: Solution, [a, b]: readonly [string, string]): Question {
  const fence = makeFence([...piecesOf(prefix), a, b])
  const schema = z.strictObject({ mark: z.literal(fence.mark), reason: z.string(), better: z.enum(BETTER) })
  const { $schema: _, ...json } = z.toJSONSchema(schema)
  const asked = [`MARK is ${fence.mark}`, dataOf(prefix, fence), fence.wrap('STEP A', a), fence.wrap('STEP B', b)]
  return {
    messages: [
      { role: 'system', content: prompt.system },
      { role: 'user', content: asked.join('\n') },
    ],
    schema: { name: 'better_step', json },
    read: ({ text }) => readObject(text, schema),
  }
}

/** What the votes say most often; where two say as much, neither is better. Failed where all of them failed. */
function mergeAnswers(heard: readonly Heard<Answer>[]): Heard<Answer> {
  const usage = heard.reduce((sum, one) => addUsage(sum, one.usage), NO_USAGE)
  const answers = heard.flatMap((one) => ('value' in one ? one.value : []))
  if (answers.length === 0) return { ...heard[0], usage }
  const countOf = (name: Answer['better']): number => answers.filter(({ better }) => better === name).length
  const most = Math.max(...BETTER.map(countOf))
  const [better, ...others] = BETTER.filter((name) => countOf(name) === most)
  if (others.length > 0) return { value: { better: 'tie', reason: 'the votes are divided' }, usage }
  return { value: { better, reason: answers.find((one) => one.better === better)?.reason ?? '' }, usage }
}

/** One order: which of the two, as it stands there, is better. */
async function askOrder(
  options: PairJudgeOptions,
  prefix: Solution,
  pair: readonly [string, string],
  signal: AbortSignal,
): Promise<Heard<Answer>> {
  const { asker, votes, maxTokens, temperature, topP, seed } = options
  const { messages, schema, read } = questionOf(prefix, pair)
  const draw = (sample: number): ChatRequest => {
    return { messages, schema, maxTokens, temperature, topP, seed, topLogprobs: 0, sample }
  }
  const samples = Array.from({ length: votes }, (_, sample) => [draw(sample), draw(votes + sample)])
  return mergeAnswers(await Promise.all(samples.map((requests) => askReadably(asker, requests, read, signal))))
}

function abstained(why: string, isConsistent: false | null): Comparison {
  return { state: 'abstained', winner: null, isConsistent, why }
}

/** `given`: the answer with a first; `swapped`: with b first. */
function compareAnswers(given: Answer, swapped: Answer): Comparison {
  const winner = ({ A: 'a', B: 'b', tie: null } as const)[given.better]
  if (winner === ({ A: 'b', B: 'a', tie: null } as const)[swapped.better]) {
    return { state: 'scored', winner, isConsistent: true, why: given.reason }
  }
  const isPlace = given.better === swapped.better
  const place = isPlace ? `: whichever stands ${given.better === 'A' ? 'first' : 'second'} is called better` : ''
  return abstained(`the verdict turns with the order${place}`, false)
}

/** Why nobody is asked about a pair, or undefined. */
function unaskedPair({ steps }: Solution, [a, b]: readonly [string, string]): string | undefined {
  if (a.trim() === b.trim()) return 'both continuations are the same'
  const [whyA, whyB] = [a, b].map((step) => unaskedSteps([...steps, step]).at(-1))
  if (whyA !== undefined) return `continuation a: ${whyA}`
  return whyB === undefined ? undefined : `continuation b: ${whyB}`
}

/** A chat model as a judge of pairs: every vote is asked in both orders. Where the answer turns with it, it abstains. */
export function pairJudge(options: PairJudgeOptions): PairJudge {
  return {
    name: options.name,
    compare: async (prefix, [a, b], signal) => {
      const unasked = unaskedPair(prefix, [a, b])
      if (unasked !== undefined) return { ...abstained(unasked, null), usage: NO_USAGE }
      const [given, swapped] = await Promise.all([
        askOrder(options, prefix, [a, b], signal),
        askOrder(options, prefix, [b, a], signal),
      ])
      const usage = addUsage(given.usage, swapped.usage)
      if ('failed' in given) return { ...given.failed, winner: null, isConsistent: null, usage }
      if ('failed' in swapped) return { ...swapped.failed, winner: null, isConsistent: null, usage }
      return { ...compareAnswers(given.value, swapped.value), usage }
    },
  }
}
