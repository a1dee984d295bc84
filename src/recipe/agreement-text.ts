/** @file How far judges agree, in words. */
import type { LabelAgreement } from '../data/judge-events.ts'

const STATISTICS = { cohen: 'Cohen’s κ', fleiss: 'Fleiss’ κ' } as const

/** One line for all judges and one for each two; none for a judge alone. */
export function agreementLines(agreement: readonly LabelAgreement[]): string[] {
  return agreement.map((one) => {
    const who = one.statistic === 'fleiss' ? `the ${one.judges.length} judges` : one.judges.join(' and ')
    return `agreement of ${who}: ${agreementText(one)}`
  })
}

function agreementText({ statistic, steps, same, kappa, low, high }: LabelAgreement): string {
  if (same === null) return 'they scored no step in common'
  const share = `the same label for ${(100 * same).toFixed(1)} % of ${steps} steps`
  if (kappa === null) return `${share}; κ is not defined where all labels are the same`
  return `${share}, ${STATISTICS[statistic]} ${kappa.toFixed(3)} [${low?.toFixed(3)}, ${high?.toFixed(3)}]`
}
