/** @file Losses of six pairs in float64, computed by TRL's and OpenRLHF's own code. Gradients are those of the mean over pairs. */
import { readFileSync } from 'node:fs'
import type { WeightedPair } from '../src/train/batch-loss.ts'

interface Options {
  readonly beta: number
  readonly label_smoothing: number
}

interface Slopes {
  readonly grad_chosen: number[]
  readonly grad_rejected: number[]
}

type Input = 'policy_chosen' | 'policy_rejected' | 'ref_chosen' | 'ref_rejected' | 'len_chosen' | 'len_rejected'

interface Golden {
  readonly inputs: Readonly<Record<Input, number[]>>
  readonly cases: (Options & Slopes & { loss_type: string; f_divergence: string; per_sequence: number[] })[]
  readonly openrlhf: (Options & Slopes & { ipo: boolean; mean: number })[]
}

const golden: Golden = JSON.parse(readFileSync(new URL('./fixtures/losses/golden.json', import.meta.url), 'utf8'))
const { inputs } = golden

/** The mean of some numbers. */
export function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length
}

export const goldenPairs: WeightedPair[] = inputs.policy_chosen.map((chosen, at) => ({
  weight: 1,
  chosen,
  rejected: inputs.policy_rejected[at],
  referenceChosen: inputs.ref_chosen[at],
  referenceRejected: inputs.ref_rejected[at],
  chosenTokens: inputs.len_chosen[at],
  rejectedTokens: inputs.len_rejected[at],
  meanChosenTokens: mean(inputs.len_chosen),
}))

/** Of TRL, without those of other divergences than the reverse KL. */
export const goldenCases = golden.cases.filter(({ f_divergence }) => f_divergence === 'reverse_kl')

export const openrlhfCases = golden.openrlhf
