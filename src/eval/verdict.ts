/** @file How well a process reward model tells right steps from wrong ones, on held-out problems. */
import type { EncodedGroup } from '../batch/encode.ts'
import { type PackOptions, packGroups } from '../batch/pack.ts'
import type { FedLayers } from '../model/forward.ts'
import type { Machine } from '../model/machine.ts'
import { scoreRow } from '../model/pass.ts'
import { type Verdict, verdictMetrics, verdictsOf } from '../train/verdict.ts'
import { bootstrap } from './interval.ts'
import type { PreferenceProgress } from './preference.ts'

/** Where the verdicts of a model come from. */
interface Judging {
  readonly machine: Machine
  readonly layers: FedLayers
  readonly packing: PackOptions
  /** The token that stands for right. */
  readonly right: number
}

/**
 * The loss and the accuracies of training; the mean of the accuracies on right and on wrong steps, the F1 of finding wrong
 * steps, and the area under the ROC curve. 95 % intervals (`_low`, `_high`) draw whole problems. Yields after each row.
 */
export async function* evaluateVerdicts(
  { machine, layers, packing, right }: Judging,
  groups: readonly EncodedGroup[],
): AsyncGenerator<PreferenceProgress, Record<string, number>> {
  const problems = byProblem(groups).map((own) => packGroups(own, packing))
  const total = problems.flat().length
  const verdicts: Verdict[][] = []
  let done = 0
  for (const rows of problems) {
    const own: Verdict[] = []
    for (const packed of rows) {
      own.push(...verdictsOf(packed, await scoreRow(machine, packed.row, layers), right))
      done++
      yield { done, total }
    }
    verdicts.push(own)
  }
  const means = Object.entries(verdictMetrics(verdicts.flat())).map(([name, value]) => [`eval_${name}`, value] as const)
  const auc = areaUnderCurve(verdicts.flat())
  return {
    ...Object.fromEntries(means),
    ...intervals(verdicts),
    ...(auc !== null && { 'eval_verdicts/auc': auc }),
    eval_steps: verdicts.flat().reduce((count, { weight }) => count + weight, 0),
    eval_problems: verdicts.length,
  }
}

function byProblem(groups: readonly EncodedGroup[]): EncodedGroup[][] {
  const problems = new Map<string, EncodedGroup[]>()
  for (const group of groups) {
    const known = problems.get(group.problem)
    if (known === undefined) problems.set(group.problem, [group])
    else known.push(group)
  }
  return [...problems.values()]
}

/** By problem: right steps taken for right and for wrong, wrong steps taken for right and for wrong. */
function countsOf(verdicts: readonly Verdict[]): number[] {
  const counts = [0, 0, 0, 0]
  for (const { isRight, weight, logit } of verdicts) counts[(isRight ? 0 : 2) + (logit >= 0 ? 0 : 1)] += weight
  return counts
}

function intervals(verdicts: readonly (readonly Verdict[])[]): Record<string, number> {
  const rows = verdicts.map(countsOf)
  const estimates = {
    accuracies: bootstrap(rows, ([rr, rw, wr, ww]) => (rr + ww) / (rr + rw + wr + ww)),
    balanced: bootstrap(rows, ([rr, rw, wr, ww]) => (rr / (rr + rw) + ww / (wr + ww)) / 2),
    f1_wrong: bootstrap(rows, ([, rw, wr, ww]) => (2 * ww) / (2 * ww + rw + wr)),
  }
  return Object.fromEntries(
    Object.entries(estimates).flatMap(([name, { value, low, high }]) =>
      value === null
        ? []
        : [
            [`eval_verdicts/${name}`, value],
            [`eval_verdicts/${name}_low`, low],
            [`eval_verdicts/${name}_high`, high],
          ],
    ),
  )
}

/** The chance that a right step has higher odds than a wrong one, ties half; null without one of each. */
export function areaUnderCurve(verdicts: readonly Verdict[]): number | null {
  const sorted = verdicts.toSorted((a, b) => a.logit - b.logit)
  let [wins, right, wrong] = [0, 0, 0]
  for (let start = 0, end = 0; start < sorted.length; start = end) {
    while (end < sorted.length && sorted[end].logit === sorted[start].logit) end++
    const [rr, rw, wr, ww] = countsOf(sorted.slice(start, end))
    wins += (rr + rw) * (wrong + (wr + ww) / 2)
    right += rr + rw
    wrong += wr + ww
  }
  return right === 0 || wrong === 0 ? null : wins / (right * wrong)
}
