/** @file What made pairs hold: yield, lengths, ends, and what would go wrong with them. */
import type { Pair } from '../data/pair-row.ts'
import { type Spread, spread } from './audit.ts'

export interface MadePairsAudit {
  readonly pairs: number
  readonly problems: number
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
  /** From step 0 on, how many pairs differ there. */
  readonly steps: readonly number[]
  readonly dropped: Readonly<Record<string, number>>
}

export function auditPairs(pairs: readonly Pair[], dropped: ReadonlyMap<string, number>): MadePairsAudit {
  const countOf = (holds: (pair: Pair) => boolean): number => pairs.filter(holds).length
  const steps: number[] = []
  for (const { step } of pairs) steps[step] = (steps[step] ?? 0) + 1
  return {
    pairs: pairs.length,
    problems: new Set(pairs.map(({ prompt }) => prompt)).size,
    prefixes: new Set(pairs.map(({ prompt, prefix }) => JSON.stringify([prompt, prefix]))).size,
    prefixLength: spread(pairs.map(({ prefix }) => prefix.length)),
    chosenLength: spread(pairs.map(({ chosen }) => chosen.length)),
    rejectedLength: spread(pairs.map(({ rejected }) => rejected.length)),
    chosenLonger: countOf(({ chosen, rejected }) => chosen.length > rejected.length),
    chosenTerminal: countOf(({ chosen_terminal: is }) => is),
    rejectedTerminal: countOf(({ rejected_terminal: is }) => is),
    oneTerminal: countOf((pair) => pair.chosen_terminal !== pair.rejected_terminal),
    steps: Array.from(steps, (counted) => counted ?? 0),
    dropped: Object.fromEntries(dropped),
  }
}

/** The audit in words, the yield first. */
export function auditLines(audit: MadePairsAudit): string[] {
  const { pairs, problems, prefixes, chosenLength, rejectedLength, chosenLonger, oneTerminal, steps, dropped } = audit
  const reasons = Object.entries(dropped).map(([reason, times]) => `${reason}: ${times}`)
  const share = (part: number): string => `${((100 * part) / Math.max(1, pairs)).toFixed(0)} %`
  return [
    `${pairs} pairs of ${problems} problems, after ${prefixes} prefixes`,
    ...(reasons.length > 0 ? [`not paired: ${reasons.join('; ')}`] : []),
    ...(pairs === 0
      ? []
      : [
          `median length ${chosenLength.median} chosen, ${rejectedLength.median} rejected; chosen is longer in ${share(chosenLonger)}`,
          `they differ at step ${steps.map((counted, at) => `${at + 1}: ${counted}`).join(', ')}`,
          oneTerminal === 0
            ? 'both sides of every pair end the solution, or neither: none teaches to stop early'
            : `in ${oneTerminal} pairs only one side ends the solution: they teach when to stop`,
        ]),
  ]
}
