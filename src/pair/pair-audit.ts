/** @file What made pairs hold: yield, lengths, ends, and what would go wrong with them. */
import type { Pair } from '../data/pair-row.ts'
import { type Spread, spread } from './audit.ts'
import type { Reasons } from './reasons.ts'

/** What is known of the making, beside the pairs. */
export interface PairMaking {
  readonly rollouts: number
  readonly problems: number
  /** Why rollouts or pairs were left out. */
  readonly dropped: Reasons
  /** Steps by what the judge said: correct, neutral, incorrect, abstained, failed. */
  readonly verdicts: ReadonlyMap<string, number>
  /** Of the first wrong steps that the judge found, those that Monte Carlo found too; null where it was not asked. */
  readonly agreement: { readonly agreed: number; readonly of: number } | null
}

export interface MadePairsAudit {
  readonly rollouts: number
  readonly pairs: number
  readonly problems: { readonly paired: number; readonly all: number }
  readonly prefixes: number
  /** In UTF-16 units. */
  readonly prefixLength: Spread
  readonly chosenLength: Spread
  readonly rejectedLength: Spread
  /** Pairs of which the chosen side is the longer one: far from a half, length alone would teach something. */
  readonly chosenLonger: number
  readonly chosenTerminal: number
  readonly rejectedTerminal: number
  /** Pairs with exactly one side that ends the solution: they teach when to stop. */
  readonly oneTerminal: number
  /** Pairs whose chosen side is a continuation, made for them. */
  readonly continued: number
  /** From step 0 on, how many pairs differ there. */
  readonly steps: readonly number[]
  readonly dropped: Readonly<Record<string, number>>
  readonly verdicts: Readonly<Record<string, number>>
  readonly agreement: PairMaking['agreement']
}

export function auditPairs(pairs: readonly Pair[], making: PairMaking): MadePairsAudit {
  const countOf = (holds: (pair: Pair) => boolean): number => pairs.filter(holds).length
  const distinct = (keyOf: (pair: Pair) => unknown): number =>
    new Set(pairs.map((pair) => JSON.stringify(keyOf(pair)))).size
  const last = pairs.reduce((most, { step }) => Math.max(most, step), -1)
  const steps = Array.from({ length: last + 1 }, () => 0)
  for (const { step } of pairs) steps[step]++
  return {
    rollouts: making.rollouts,
    pairs: pairs.length,
    problems: { paired: distinct(({ prompt }) => prompt), all: making.problems },
    prefixes: distinct(({ prompt, prefix }) => [prompt, prefix]),
    prefixLength: spread(pairs.map(({ prefix }) => prefix.length)),
    chosenLength: spread(pairs.map(({ chosen }) => chosen.length)),
    rejectedLength: spread(pairs.map(({ rejected }) => rejected.length)),
    chosenLonger: countOf(({ chosen, rejected }) => chosen.length > rejected.length),
    chosenTerminal: countOf(({ chosen_terminal: is }) => is),
    rejectedTerminal: countOf(({ rejected_terminal: is }) => is),
    oneTerminal: countOf((pair) => pair.chosen_terminal !== pair.rejected_terminal),
    continued: countOf(({ provenance }) => provenance.chosen.from === 'continuation'),
    steps,
    dropped: Object.fromEntries(making.dropped),
    verdicts: Object.fromEntries(making.verdicts),
    agreement: making.agreement,
  }
}

/** The audit in words, the yield first. */
export function auditLines(audit: MadePairsAudit): string[] {
  const { pairs, rollouts, problems, prefixes, dropped, verdicts, agreement } = audit
  const counts = (of: Readonly<Record<string, number>>): string =>
    Object.entries(of)
      .map(([name, times]) => `${name}: ${times}`)
      .join('; ')
  return [
    `${pairs} pairs from ${rollouts} rollouts, of ${problems.paired} of ${problems.all} problems, after ${prefixes} prefixes`,
    ...(Object.keys(dropped).length > 0 ? [`left out: ${counts(dropped)}`] : []),
    ...(Object.keys(verdicts).length > 0 ? [`steps by verdict: ${counts(verdicts)}`] : []),
    ...(agreement === null
      ? []
      : [
          `${shareOf(agreement.agreed, agreement.of)} of the first errors that the judge found are those of Monte Carlo`,
        ]),
    ...(pairs === 0 ? [] : contentLines(audit)),
  ]
}

function contentLines(audit: MadePairsAudit): string[] {
  const { pairs, chosenLength, rejectedLength, chosenLonger, chosenTerminal, rejectedTerminal, oneTerminal, steps } =
    audit
  return [
    `median length ${chosenLength.median} chosen, ${rejectedLength.median} rejected; chosen is longer in ${shareOf(chosenLonger, pairs)}; chosen was made for the pair in ${shareOf(audit.continued, pairs)}`,
    `they differ at step ${steps.flatMap((counted, at) => (counted > 0 ? [`${at + 1}: ${counted}`] : [])).join(', ')}`,
    oneTerminal === 0
      ? 'both sides of every pair end the solution, or neither: none teaches when to stop'
      : `⚠ in ${oneTerminal} pairs one side only ends the solution (chosen ${chosenTerminal}, rejected ${rejectedTerminal} of ${pairs}): they teach when to stop`,
  ]
}

function shareOf(part: number, whole: number): string {
  return whole === 0 ? 'none' : `${((100 * part) / whole).toFixed(0)} % (${part} of ${whole})`
}
