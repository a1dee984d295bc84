/** @file Of the dashboard's contract (dashboard.ts): traces, which are rollouts and judged solutions without one; trees of them. */
import type { Page } from './dashboard.ts'
import type { HumanLabel, Rating } from './dashboard-labels.ts'
import type { JudgedStep } from './judgement.ts'

/**
 * One letter for each step: `c` correct, `n` neutral, `i` incorrect, `a` abstained, `f` failed, `-` not judged. As a
 * person's label: `c`, `n`, `i`, `-` not labelled.
 */
export type StepLetters = string

export interface TraceRow {
  readonly id: string
  /** An index of `TracesReply.sources`. */
  readonly source: number
  /** The id of the problem. */
  readonly problem: string
  /** The problem's beginning, at most 240 characters. */
  readonly begin: string
  readonly sample: number
  /** Its index among `TracesReply.makers`; −1 where nobody is known. */
  readonly maker: number
  readonly stepCount: number
  readonly verdicts: StepLetters
  /** Null where no person labelled it. */
  readonly labels: StepLetters | null
  readonly score: number | null
  /** Whether the final answer is right; null where it is not known. */
  readonly isRight: boolean | null
  /** Cut at max_new_tokens. */
  readonly isCut: boolean
  /** The first step that the judge calls incorrect, from 0; −1 for none; null where it did not judge. */
  readonly firstError: number | null
  /** A step has another verdict than label. */
  readonly differs: boolean
  readonly flagged: boolean
}

export interface TraceQuery {
  readonly offset?: number
  readonly limit?: number
  /** In problem and solution, whatever the case. */
  readonly q?: string
  readonly judge?: string
  /** Has a step with this letter of `StepLetters`. */
  readonly verdict?: 'c' | 'n' | 'i' | 'a' | 'f' | '-'
  readonly min_score?: number
  readonly max_score?: number
  readonly differs?: boolean
  readonly answer?: 'right' | 'wrong' | 'unknown'
  readonly labelled?: boolean
  readonly flagged?: boolean
  readonly source?: number
  readonly problem?: string
  readonly sort?: 'file' | 'score' | 'steps' | 'first_error'
  readonly order?: 'up' | 'down'
}

/** A file of traces. */
export interface TraceSource {
  /** Below the run's folder; text of strangers. */
  readonly name: string
  readonly kind: 'rollouts' | 'continuations' | 'judged'
  readonly traces: number
}

export interface TracesReply extends Page<TraceRow> {
  readonly sources: readonly TraceSource[]
  readonly makers: readonly string[]
  readonly judges: readonly string[]
  /** False while files are still being read: ask again. */
  readonly isWhole: boolean
}

/** A way of making one score of many, with what it comes to here, worked out. */
export interface AggregationTerm {
  readonly name: string
  readonly score: number | null
  /** Such as `0.9 × 0.5 × 1`; empty where there is no score. */
  readonly arithmetic: string
  /** That the judgement used. */
  readonly isUsed: boolean
}

export interface TraceJudgement {
  readonly judge: string
  /** One for each step. */
  readonly steps: readonly JudgedStep[]
  readonly score: number | null
  readonly aggregation: string
  readonly coverage: number
  readonly aggregations: readonly AggregationTerm[]
}

export interface Trace extends TraceRow {
  readonly problemText: string
  readonly completion: string
  /** What of the completion the policy was given, in UTF-16 units. */
  readonly given: number
  readonly steps: readonly string[]
  readonly finish: 'stop' | 'length' | null
  readonly tokens: number | null
  readonly answer: string | null
  readonly finalAnswer: string | null
  readonly makerName: string | null
  readonly sourceName: string
  /** The newest of each judge. */
  readonly judgements: readonly TraceJudgement[]
  readonly label: HumanLabel | null
  /** Others of the same problem, at most 50, in the order of files: those of the base model and of the trained one too. */
  readonly siblings: readonly TraceRow[]
  /** Pairs that it is a side of. */
  readonly pairs: readonly string[]
}

export interface ProblemRow {
  readonly id: string
  readonly text: string
  readonly traces: number
  readonly right: number
  readonly wrong: number
}

export type ProblemsReply = Page<ProblemRow>

/** Summed log-probabilities of the tokens of a step after those before it, before training and after it. */
export interface StepChange {
  readonly reference: number
  readonly policy: number
}

/** A step that solutions of one problem have after the same steps. */
export interface TreeNode {
  /** An index of `nodes`; −1 at the beginning. Parents stand before their children. */
  readonly parent: number
  readonly depth: number
  readonly text: string
  /** Solutions that go through it, and how their answers are. */
  readonly traces: number
  readonly right: number
  readonly wrong: number
  /** Solutions that end here. */
  readonly ends: number
  /** The verdict and the score of the judge, which are the same for all but where its view of what follows counts: the first. */
  readonly verdict: JudgedStep | null
  readonly label: Exclude<Rating, null> | null
  /** Some of the solutions, at most 20. */
  readonly examples: readonly string[]
  /** The mean log-probability of a token of the solutions through it, by maker, where rollouts have them. */
  readonly logps: readonly { readonly maker: string; readonly mean: number; readonly traces: number }[]
  /** Null where no step-rewards.jsonl has it. */
  readonly change: StepChange | null
  readonly chosenIn: readonly string[]
  readonly rejectedIn: readonly string[]
}

export interface TreeReply {
  readonly id: string
  readonly problem: string
  readonly answer: string | null
  /** At most 2,000. */
  readonly nodes: readonly TreeNode[]
  readonly isCut: boolean
}
