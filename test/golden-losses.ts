/** @file Losses of six pairs in float64, computed by TRL's, OpenRLHF's and TDPO's own code. */
import { readFileSync } from 'node:fs'
import type { WeightedPair } from '../src/train/batch-loss.ts'
import type { DivergenceType } from '../src/train/divergence.ts'

interface Options {
  readonly beta: number
  readonly label_smoothing: number
}

interface Slopes {
  readonly grad_chosen: number[]
  readonly grad_rejected: number[]
}

type Input = 'policy_chosen' | 'policy_rejected' | 'ref_chosen' | 'ref_rejected' | 'len_chosen' | 'len_rejected'

type GoldenCase = Options &
  Slopes & { loss_type: string; f_divergence: DivergenceType; f_alpha: number; per_sequence: number[] }

interface GoldenTdpo extends Slopes {
  readonly if_tdpo2: boolean
  readonly beta: number
  readonly alpha: number
  readonly chosen_position_kl: number[]
  readonly rejected_position_kl: number[]
  readonly per_sequence: number[]
  readonly chosen_rewards: number[]
  readonly rejected_rewards: number[]
  /** Null where nothing is learned from it. */
  readonly grad_kl_chosen: number[] | null
  readonly grad_kl_rejected: number[]
}

/** Gradients are those of the mean over pairs. */
interface Golden {
  readonly inputs: Readonly<Record<Input, number[]>>
  readonly cases: GoldenCase[]
  readonly openrlhf: (Options & Slopes & { ipo: boolean; mean: number })[]
  readonly tdpo: GoldenTdpo[]
}

/** Gradients are those of the sum over pairs. */
interface TrlCase extends Slopes {
  readonly loss: string
  readonly beta: number
  readonly values: number[]
}

/** As `fixtures/losses/make.py` writes it. */
interface Trl {
  readonly policy: (TrlCase & { label_smoothing?: number; gamma?: number; alpha?: number })[]
  readonly divergences: (TrlCase & {
    label_smoothing: number
    divergence: DivergenceType
    f_alpha: number
    discopop_tau: number
  })[]
  readonly members: (TrlCase & {
    loss: 'kto' | 'apo_zero_unpaired'
    desirable_weight: number
    undesirable_weight: number
    mismatched: number[]
    kl: number
  })[]
}

function readFixture(name: string): string {
  return readFileSync(new URL(`./fixtures/losses/${name}`, import.meta.url), 'utf8')
}

const golden: Golden = JSON.parse(readFixture('golden.json'))
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
  chosenKl: 0,
  rejectedKl: 0,
  scoreGap: 0,
  policyWeight: 1,
}))

/** Of TRL's DPOTrainer, under the reverse KL and under other divergences. */
export const goldenCases = golden.cases.filter(({ f_divergence }) => f_divergence === 'reverse_kl')
export const goldenDivergences = golden.cases.filter(({ f_divergence }) => f_divergence !== 'reverse_kl')

export const openrlhfCases = golden.openrlhf

export const tdpoCases = golden.tdpo

export const trlCases: Trl = JSON.parse(readFixture('trl-experimental.json'))
