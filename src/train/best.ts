/** @file The best model of a run by a metric, and when a run gives up: Trainer's rules, followed from its log alone. */
import { UserError } from '../base/errors.ts'
import type { Metrics } from '../data/events.ts'
import { isEvaluation, type LogEntry } from './log.ts'

export interface BestRules {
  /** Of evaluations, with `eval_`. */
  readonly metric: string
  readonly isGreaterBetter: boolean
  /** Evaluations in a row without an improvement after which the run ends; undefined: it never gives up. */
  readonly patience?: number
  /** What an improvement must be larger than, for `patience`. */
  readonly threshold: number
  /** Whether something depends on the metric, so that it must be there. */
  readonly isNeeded: boolean
}

export interface Best {
  readonly value: number
  /** After how many updates it was measured. */
  readonly update: number
}

/** Where a run stands: its best evaluation, and how many came in a row since one that was an improvement. */
export interface Standing {
  readonly best: Best | undefined
  readonly waited: number
}

/**
 * The standing after the evaluations of a log, as Trainer's `_determine_best_metric` and its EarlyStoppingCallback count
 * (transformers 5.23): an evaluation before the first update is no candidate; one that is better by `threshold` or less
 * becomes the best, yet does not end the waiting. What is not finite is never better.
 */
export function standingOf(log: readonly LogEntry[], rules: BestRules): Standing {
  let best: Best | undefined
  let waited = 0
  for (const entry of log) {
    const { step: update, [rules.metric]: value } = entry
    if (update === 0 || value === undefined || !isEvaluation(entry)) continue
    const gain = gainOf(value, best, rules)
    waited = gain > rules.threshold ? 0 : waited + 1
    if (gain > 0) best = { value, update }
  }
  return { best, waited }
}

/** By how much a value is better than the best so far. */
function gainOf(value: number, best: Best | undefined, { isGreaterBetter }: BestRules): number {
  if (!Number.isFinite(value)) return Number.NEGATIVE_INFINITY
  if (best === undefined) return Number.POSITIVE_INFINITY
  return isGreaterBetter ? value - best.value : best.value - value
}

/** Whether the run has waited long enough. */
export function hasGivenUp({ waited }: Standing, { patience }: BestRules): boolean {
  return patience !== undefined && waited >= patience
}

/** @throws UserError where an evaluation lacks the metric that something depends on, naming those that it has. */
export function refuseUnknown(metrics: Metrics, { metric, isNeeded }: BestRules): void {
  if (!isNeeded || metrics[metric] !== undefined) return
  const names = Object.keys(metrics).sort().join(', ')
  throw new UserError(`--metric_for_best_model: evaluations have no '${metric}'. They have: ${names}`)
}
