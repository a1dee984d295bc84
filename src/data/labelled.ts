/** @file What a data format makes of a row: a labelled solution, or why there is none. Knows no format. */
import { sha256 } from '../base/hash.ts'
import type { Prompt, Segment } from './records.ts'
import type { Bad } from './schema.ts'

/** What becomes of PRM800K's rating 0: no member, a wrong step, or a correct one. */
export type NeutralPolicy = 'drop' | 'negative' | 'positive'

export interface ReadOptions {
  readonly neutral: NeutralPolicy
  /** Follows each step of PRM800K and stepwise rows. */
  readonly separator: string
}

/** One labelled completion of a step, or the reason why it is left out. */
export type Candidate =
  | { readonly content: Segment; readonly rating: number; readonly terminal: boolean }
  | { readonly dropped: string }

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

/** Two answers as a solution of one step, in which one was preferred. */
export function labelAnswers({ prompt, chosen, rejected }: AnswerPair, terminal: boolean): LabelledRow {
  const candidates = [
    { content: chosen, rating: 1, terminal },
    { content: rejected, rating: -1, terminal },
  ]
  return { prompt, separator: '', steps: [{ candidates, next: null }] }
}
