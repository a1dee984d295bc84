/** @file How far the judges of a panel agree on the labels of steps. */
import type { LabelAgreement } from '../data/judge-events.ts'
import type { MergedVerdict } from '../judge/port.ts'
import { type Agreement, cohenKappa, fleissKappa, type Ratings } from './agreement.ts'

/**
 * Fleiss' κ of all judges on steps that all of them scored, then Cohen's κ of each two on steps that both scored.
 * Intervals are over solutions. Empty where no step has verdicts of several judges.
 */
export function measurePanel(solutions: readonly (readonly MergedVerdict[])[]): LabelAgreement[] {
  const judges =
    solutions
      .flat()
      .find(({ members }) => members !== undefined)
      ?.members?.map(({ judge }) => judge) ?? []
  if (judges.length < 2) return []
  const ratings = solutions.map((steps) =>
    steps.flatMap(({ members }) => (members === undefined ? [] : [labelsOf(members)])),
  )
  const whole = ratings.map((items) => items.filter((labels) => labels.every((label) => label !== null)))
  const pairs = judges.flatMap((first, at) =>
    judges.slice(at + 1).map((second, index) => {
      const other = at + 1 + index
      const both = ratings.map((items) => items.map((labels) => [labels[at], labels[other]] as const))
      return agreementOf('cohen', [first, second], cohenKappa(both))
    }),
  )
  return [agreementOf('fleiss', judges, fleissKappa(whole)), ...pairs]
}

function labelsOf(members: NonNullable<MergedVerdict['members']>): Ratings {
  return members.map((verdict) => (verdict.state === 'scored' ? verdict.label : null))
}

function agreementOf(
  statistic: LabelAgreement['statistic'],
  judges: readonly string[],
  { kappa, observed, items }: Agreement,
): LabelAgreement {
  return { statistic, judges, steps: items, same: observed, kappa: kappa.value, low: kappa.low, high: kappa.high }
}
