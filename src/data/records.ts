/** @file The records that stages hand to each other. Text keeps its structure here; it becomes tokens in batch/. */
import type { InputPlace } from '../base/errors.ts'

export interface Message {
  readonly role: string
  readonly content: string
}

/** A piece of text, or token ids where a row brings its own. */
export type Segment = string | readonly number[]

/** The question given to the policy: messages for the chat template, or a segment that is taken as it is. */
export type Prompt = { readonly messages: readonly Message[] } | { readonly raw: Segment }

/** A step of a solution with what is known of it. */
export interface SolutionStep {
  readonly content: Segment
  /** Of a judge, in [0, 1]; null where it gave none. */
  readonly score: number | null
  /** How much its log ratio counts with `--objective custom`; null where the row does not say. */
  readonly weight: number | null
}

/** A solution from a group's prefix on, step by step. */
export interface Solution {
  readonly steps: readonly SolutionStep[]
  /** Whether the last of its steps ends it. */
  readonly terminal: boolean
}

/** One rated continuation of a group's prefix. */
export interface Member {
  readonly content: Segment
  /** Its label: 1 correct, −1 wrong, anything between for graded data. A higher rating is preferred. */
  readonly rating: number
  /** Whether it ends the solution: only then it is followed by the end-of-turn token. */
  readonly terminal: boolean
  /** How many labelled completions have this text: each counts in the pairs, its tokens are computed once. */
  readonly count: number
  /** Of a judge, in [0, 1], where it gave one: margins, soft labels and weights follow from it. */
  readonly score?: number
  /** Where the content is token ids: how much each of them counts in the log-probability. Absent: all count once. */
  readonly tokenWeights?: readonly number[]
  /** What the content is the beginning of, where the row has it. */
  readonly solution?: Solution
}

/** One prefix with its rated continuations, the native unit of training. */
export interface Group {
  /** Names the problem: all groups of a problem fall on one side of a split and into one tree. */
  readonly problem: string
  readonly prompt: Prompt
  /** The steps before, oldest first. */
  readonly prefix: readonly Segment[]
  /** Follows each step of the prefix and each member that is not terminal. */
  readonly separator: string
  readonly members: readonly Member[]
  /** Where the group was read first. */
  readonly place: InputPlace
}
