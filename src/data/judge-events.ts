/** @file What happens while solutions are judged, as typed events. */
import { escapeControls } from './events.ts'
import type { Judgement } from './judgement.ts'

/** Steps by what became of them; `scored + abstained + failed` are all. */
export interface StepCounts {
  readonly scored: number
  readonly abstained: number
  readonly failed: number
}

/** What asking would take. `cost` is the most, in US dollars; null where a price is not known. */
export interface JudgePlan {
  readonly judge: string
  readonly requests: number
  readonly cached: number
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cost: number | null
}

/** How far judges agree on the labels of steps that they all scored, beyond chance. */
export interface LabelAgreement {
  /** `cohen` of two judges, `fleiss` of all. */
  readonly statistic: 'cohen' | 'fleiss'
  readonly judges: readonly string[]
  readonly steps: number
  /** The share of them with the same label (for several judges, of their pairs); null without steps. */
  readonly same: number | null
  /** κ with its 95 % interval; null where all labels are the same, for which it is not defined. */
  readonly kappa: number | null
  readonly low: number | null
  readonly high: number | null
}

/** What a batch API says of a job. `left`: it goes on without us. */
export interface BatchUpdate {
  readonly type: 'batch-updated'
  readonly model: string
  /** The vendor's name of the job. */
  readonly batch: string
  readonly state: 'created' | 'running' | 'ended' | 'left'
  readonly requests: number
  readonly completed: number
  readonly failed: number
}

export type JudgeEvent =
  | BatchUpdate
  /** `known` of the solutions were judged before and are not asked again. */
  | {
      readonly type: 'judging-begin'
      readonly judge: string
      readonly data: string
      readonly folder: string
      readonly solutions: number
      readonly known: number
      readonly maxCost: number | null
    }
  | { readonly type: 'judging-planned'; readonly plans: readonly JudgePlan[] }
  | {
      readonly type: 'rows-dropped'
      readonly count: number
      readonly total: number
      readonly reason: string
      readonly example: string
    }
  | {
      readonly type: 'judgement-made'
      readonly judgement: Judgement
      readonly done: number
      readonly total: number
      readonly steps: StepCounts
      /** Requests that were answered, and those that had been answered before. */
      readonly calls: number
      readonly cached: number
      readonly tokens: number
      /** US dollars spent by this run, also before. */
      readonly spent: number
      readonly seconds: number
    }
  | {
      readonly type: 'judging-end'
      readonly solutions: number
      readonly steps: StepCounts
      readonly failures: Readonly<Record<string, number>>
      /** The mean score of the solutions that have one. */
      readonly score: number | null
      /** How scores of steps became the score of a solution. */
      readonly aggregation: string
      /** Of several judges, all together and two by two; empty for one. */
      readonly agreement: readonly LabelAgreement[]
      readonly spent: number
      /** What requests without a known end may have cost beside. */
      readonly maybeSpent: number
      readonly seconds: number
      readonly folder: string
    }
  | { readonly type: 'judging-stopped'; readonly done: number; readonly total: number; readonly folder: string }

/** As one line of JSON without its line end; controls that JSON lets through are escaped. */
export function encodeJudgeEvent(event: JudgeEvent): string {
  return escapeControls(JSON.stringify(event))
}
