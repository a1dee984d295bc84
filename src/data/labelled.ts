/** @file What a data format makes of a row: a labelled solution, or why there is none. Knows no format. */
import { sha256 } from '../base/hash.ts'
import type { Member, Prompt, Segment } from './records.ts'
import type { Bad } from './schema.ts'

/** What becomes of PRM800K's rating 0: no member, a wrong step, or a correct one. */
export type NeutralPolicy = 'drop' | 'negative' | 'positive'

export interface ReadOptions {
  readonly neutral: NeutralPolicy
  /** Follows each step of rows that keep their steps apart: PRM800K, stepwise, Math-Shepherd, RLHFlow, MATH-APS. */
  readonly separator: string
}

/** One labelled completion of a step. */
export interface LabelledMember extends Omit<Member, 'count'> {
  /** In rows that we wrote: its place in its group, and how many labelled completions it stands for. Else it is one. */
  readonly written?: { readonly at: number; readonly count: number }
}

/** One labelled completion of a step, or the reason why it is left out. */
export type Candidate = LabelledMember | { readonly dropped: string }

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
  /** In rows that we wrote: rows with the same name are parts of one group. */
  readonly group?: string
}

/** What a row says; a row that holds a tree of solutions says `more`. `dropped`: why it is left out on purpose. */
export type Reading =
  | { readonly labelled: LabelledRow; readonly more?: readonly LabelledRow[] }
  | { readonly dropped: string }
  | Bad

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

/** Two answers as a solution of one step, in which one was preferred. */
export function labelAnswers({ prompt, chosen, rejected }: AnswerPair, ends: Ends): LabelledRow {
  return labelCompletions(prompt, [
    { content: chosen, rating: 1, terminal: ends.chosen },
    { content: rejected, rating: -1, terminal: ends.rejected },
  ])
}

/**
 * Completions of a prompt as a solution of one step. Where the last message of the prompt is of the assistant, they go on
 * from it: it is the step before, and its turn is not closed (TRL's `continue_final_message`).
 */
export function labelCompletions(prompt: Prompt, candidates: readonly Candidate[]): LabelledRow {
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
  /** How likely it is right, in [0, 1], where the label says it. */
  readonly score?: number
}

/** A step with a hard label: right or wrong. */
export function hardStep(content: string, isRight: boolean): RatedStep {
  return { content, rating: isRight ? 1 : -1, score: isRight ? 1 : 0 }
}

export interface SolutionOptions {
  /** Follows each step. */
  readonly separator: string
  /** Whether the last step ends the solution, as it does unless said otherwise. */
  readonly isWhole?: boolean
}

/**
 * A solution with one labelled completion at each step. Nothing goes on after a wrong step (rating ≤ 0): what follows it
 * has a wrong prefix.
 */
export function labelSteps(prompt: Prompt, steps: readonly RatedStep[], options: SolutionOptions): LabelledRow {
  const { separator, isWhole = true } = options
  return {
    prompt,
    separator,
    steps: steps.map((step, index) => ({
      candidates: [{ ...step, terminal: isWhole && index === steps.length - 1 }],
      next: step.rating > 0 ? step.content : null,
    })),
  }
}
