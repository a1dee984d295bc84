/** @file What a data format makes of a row: a labelled solution, or why there is none. Knows no format. */
import { sha256 } from '../base/hash.ts'
import type { Member, Prompt, Segment } from './records.ts'
import type { Bad } from './schema.ts'

/** What becomes of PRM800K's rating 0: no member, a wrong step, or a correct one. */
export type NeutralPolicy = 'drop' | 'negative' | 'positive'

export interface ReadOptions {
  readonly neutral: NeutralPolicy
  /** Follows each step of rows that keep their steps apart: PRM800K, stepwise, Math-Shepherd, RLHFlow. */
  readonly separator: string
}

/** One labelled completion of a step, or the reason why it is left out. */
export type Candidate = Omit<Member, 'count'> | { readonly dropped: string }

export interface LabelledStep {
  readonly candidates: readonly Candidate[]
  /** What the solution goes on with. After null, no prefix is known: later steps are left out. */
  readonly next: Segment | null
}

/** One solution of a prompt, with the labelled completions at each of its steps. */
export interface LabelledRow {
  readonly prompt: Prompt
  readonly separator: string
  readonly steps: readonly LabelledStep[]
}

/** What a row says. `dropped` is the reason why it is left out on purpose. */
export type Reading = { readonly labelled: LabelledRow } | { readonly dropped: string } | Bad

/** A prompt and two answers to it. */
export interface AnswerPair {
  readonly prompt: Prompt
  readonly chosen: Segment
  readonly rejected: Segment
}

/** One user message, for the chat template. */
export function userPrompt(content: string): Prompt {
  return { messages: [{ role: 'user', content }] }
}

/** Names the problem of a prompt; prompts that differ in their system message only have one problem. */
export function problemOf(prompt: Prompt): string {
  if ('raw' in prompt) return typeof prompt.raw === 'string' ? prompt.raw : sha256(prompt.raw.join(' '))
  const asked = prompt.messages.filter(({ role }) => role !== 'system')
  return asked.map(({ content }) => content).join('\n')
}

/** Whether each of two answers ends the solution. */
export interface Ends {
  readonly chosen: boolean
  readonly rejected: boolean
}

/**
 * Two answers as a solution of one step, in which one was preferred. Where the last message of the prompt is of the
 * assistant, both go on from it: it is the step before, and its turn is not closed (TRL's `continue_final_message`).
 */
export function labelAnswers({ prompt, chosen, rejected }: AnswerPair, ends: Ends): LabelledRow {
  const candidates = [
    { content: chosen, rating: 1, terminal: ends.chosen },
    { content: rejected, rating: -1, terminal: ends.rejected },
  ]
  const last = 'messages' in prompt ? prompt.messages.at(-1) : undefined
  const isBegun = 'messages' in prompt && prompt.messages.length > 1 && last?.role === 'assistant'
  const asked = isBegun ? { messages: prompt.messages.slice(0, -1) } : prompt
  const before = isBegun && last.content !== '' ? [{ candidates: [], next: last.content }] : []
  return { prompt: asked, separator: '', steps: [...before, { candidates, next: null }] }
}

/** One rated step of a solution. */
export interface RatedStep {
  readonly content: string
  readonly rating: number
}

/**
 * A solution with one labelled completion at each step. The last step ends it. Nothing goes on after a wrong step
 * (rating ≤ 0): what follows it has a wrong prefix.
 */
export function labelSteps(prompt: Prompt, steps: readonly RatedStep[], separator: string): LabelledRow {
  return {
    prompt,
    separator,
    steps: steps.map(({ content, rating }, index) => ({
      candidates: [{ content, rating, terminal: index === steps.length - 1 }],
      next: rating > 0 ? content : null,
    })),
  }
}
