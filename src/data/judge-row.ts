/** @file A solution to be judged and what people said of it, whatever the format it comes from. */
import { sha256 } from '../base/hash.ts'
import { type Splitter, splitSteps } from '../text/steps.ts'
import type { StepLabel } from './judgement.ts'
import type { Message } from './records.ts'
import type { Bad } from './schema.ts'

/** PRM800K's ratings 1, 0 and −1; null where nobody said. */
export type HumanLabel = StepLabel | null

export interface JudgeRow {
  /** SHA-256 of the solution: equal solutions have equal ids, whatever file they are in. */
  readonly id: string
  readonly solution: {
    readonly problem: string
    readonly steps: readonly string[]
    readonly reference?: string
  }
  /** The first wrong step from 0, −1 where there is none; null where it is not known. */
  readonly label: number | null
  /** One for each step; null where the row has none, or only the place of the first error. */
  readonly labels: readonly HumanLabel[] | null
  /** Whether the answer that the solution ends with is right; null where nobody said. */
  readonly finalCorrect: boolean | null
  /** The class that results are averaged by, as in PRMBench. */
  readonly category: string | null
}

/** What a row says. `dropped` is the reason why it is left out on purpose. */
export type JudgeReading = { readonly row: JudgeRow } | { readonly dropped: string } | Bad

/** What a format finds in a row. `label` is needed only where `labels` are not there. */
export interface Found {
  readonly problem: string
  readonly steps: readonly string[]
  readonly reference?: string | null
  readonly label?: number
  readonly labels?: readonly HumanLabel[]
  readonly finalCorrect?: boolean | null
  readonly category?: string | null
}

/** Each step may cost a call. */
export const MAX_STEPS = 1000

/** The row of what a format found; `bad` where there is nothing to judge, too much, or the label is no step. */
export function makeRow(found: Found): JudgeReading {
  const { problem, steps, labels } = found
  const label = found.label ?? (labels === undefined ? null : findFirstError(labels))
  if (problem.trim() === '') return { bad: 'the problem is blank' }
  if (steps.every((step) => step.trim() === '')) return { bad: 'the solution has no step, or blank ones only' }
  if (steps.length > MAX_STEPS) return { bad: `expected at most ${MAX_STEPS} steps, found ${steps.length}` }
  if (label !== null && label >= steps.length) {
    return { bad: `the label names step ${label + 1} of a solution of ${steps.length}` }
  }
  const solution = { problem, steps, ...(found.reference ? { reference: found.reference } : {}) }
  return {
    row: {
      id: sha256(JSON.stringify([problem, steps, solution.reference ?? null])),
      solution,
      label,
      labels: labels ?? null,
      finalCorrect: found.finalCorrect ?? null,
      category: found.category ?? null,
    },
  }
}

/** Neutral steps are no errors. Before a step that nobody labelled, an error may stand: then the first is not known. */
function findFirstError(labels: readonly HumanLabel[]): number | null {
  const first = labels.findIndex((label) => label === null || label === 'incorrect')
  if (first < 0) return -1
  return labels[first] === null ? null : first
}

export function stepsOf(completion: string, splitter: Splitter): string[] {
  return splitSteps(completion, splitter).steps.map((step) => step.text)
}

/**
 * The problem that messages pose: the one that is asked, or who said what where there are several. A system message
 * says how to answer, and is part of the problem only where there is nothing else.
 */
export function problemOfMessages(messages: readonly Message[]): string {
  const asked = messages.filter(({ role }) => role !== 'system' && role !== 'developer')
  if (asked.length === 0) return messages.map(({ content }) => content).join('\n')
  if (asked.length === 1) return asked[0].content
  return asked.map(({ role, content }) => `${role}: ${content}`).join('\n\n')
}
