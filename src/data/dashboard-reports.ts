/** @file Of the dashboard's contract (dashboard.ts): judges, and evaluations of models. */
import type { Estimate, UsageRow } from './dashboard.ts'
import type { StepLabel } from './judgement.ts'

export interface AgreementFigures {
  readonly steps: number
  /** The share with the same label. */
  readonly same: Estimate
  readonly kappa: Estimate
}

export interface JudgeFigures {
  readonly judge: string
  readonly solutions: number
  readonly scored: number
  readonly abstained: number
  readonly failed: number
  readonly failures: Readonly<Record<string, number>>
  readonly meanScore: number | null
  /** Against labels that were given without seeing the judge. */
  readonly agreement: AgreementFigures
  /** `confusion[judge][person]`, in the order correct, neutral, incorrect. */
  readonly confusion: readonly (readonly number[])[]
  /** Its scores as chances, against labels correct and incorrect. */
  readonly calibration: {
    readonly steps: number
    readonly ece: number | null
    readonly brier: number | null
    readonly bins: readonly {
      readonly low: number
      readonly high: number
      readonly count: number
      readonly meanScore: number | null
      readonly shareRight: number | null
    }[]
  }
  readonly examples: readonly {
    readonly trace: string
    readonly step: number
    readonly judge: StepLabel
    readonly person: StepLabel
  }[]
}

export interface BenchmarkFigures {
  /** The file of the report, below the run. */
  readonly name: string
  readonly judge: string
  readonly data: string
  readonly rows: number
  /** In percent; null where it is not defined. */
  readonly errorAccuracy: Estimate
  readonly correctAccuracy: Estimate
  readonly f1: Estimate
}

export interface JudgesReply {
  readonly judges: readonly JudgeFigures[]
  /** Cost, calls, tokens, latency: lines of llm_usage.jsonl. */
  readonly usage: readonly UsageRow[]
  readonly benchmarks: readonly BenchmarkFigures[]
  /** F1 in percent on ProcessBench. */
  readonly published: readonly {
    readonly model: string
    readonly gsm8k: number
    readonly math: number
    readonly average: number
  }[]
}

export interface FigureRow {
  readonly source: string
  readonly name: string
  readonly judge: string | null
  readonly aggregation: string | null
  readonly unit: string
  readonly problems: number
  /** Of the base model; null for one model alone. */
  readonly base: Estimate | null
  readonly model: Estimate
  /** Model − base, problem by problem. */
  readonly difference: Estimate | null
  readonly isSignificant: boolean | null
}

/** A problem whose greedy answer changed. */
export interface Flip {
  readonly problem: string
  readonly text: string
  readonly change: 'gained' | 'lost'
  readonly before: string
  readonly after: string
}

export interface EvaluationItem {
  /** The file of the report, below the run. */
  readonly name: string
  readonly data: string
  readonly model: string
  readonly base: string | null
  readonly figures: readonly FigureRow[]
  /** McNemar's test of greedy answers; null for one model alone. */
  readonly answers: {
    readonly problems: number
    readonly gained: number
    readonly lost: number
    readonly p: number
  } | null
  /** At most 500; `before` and `after` are traces. */
  readonly flips: readonly Flip[]
}

export interface EvaluationsReply {
  readonly evaluations: readonly EvaluationItem[]
}
