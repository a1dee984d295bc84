/** @file Every loss by its name in `--loss_type`, with what it heeds and asks for. Refusals and help follow from this. */
import { aotLoss, aotUnpairedLoss, type BatchLoss } from './batch-loss.ts'
import { tdpo1Loss, tdpo2Loss } from './kl-loss.ts'
import type { Loss, LossOptions } from './loss.ts'
import {
  discopopLoss,
  dpopLoss,
  dpopOutsideLoss,
  exoLoss,
  hingeLoss,
  ipoLoss,
  ipoSumLoss,
  odpoLoss,
  robustLoss,
  rpoLoss,
  sigmoidLoss,
  sigmoidNormLoss,
} from './margin-loss.ts'
import { alphapoLoss, cpoLoss, orpoLoss, sftLoss, simpoLoss } from './policy-loss.ts'
import { apoDownLoss, apoZeroLoss, bcoLoss, bcoShiftedLoss, ncaLoss, sppoLoss } from './reward-loss.ts'

/** What a loss is computed of: two sides, a side alone, or all members of a group. */
export type LossUnit = 'pair' | 'member' | 'list'

/** Options of a loss, and the doubt that each pair may have of its own instead of `labelSmoothing`. */
export type Heeded = keyof LossOptions | 'doubt'

/** What a loss follows from beside the policy's log-probabilities. */
export type Asked = 'reference' | 'kl' | 'scores'

interface Traits {
  readonly heeds: readonly Heeded[]
  readonly asks: readonly Asked[]
}

export interface PairEntry extends Traits {
  readonly unit: 'pair'
  /** Whether the loss of a pair follows from the other pairs of its batch too. */
  readonly comparesPairs: boolean
  /** Whether it is infinite where labels are not doubted. */
  readonly needsDoubt: boolean
  readonly losses: BatchLoss
}

/** A loss of members or lists: `member-loss.ts` and `list-loss.ts` compute it. */
interface GroupEntry extends Traits {
  readonly unit: 'member' | 'list'
}

export type LossEntry = PairEntry | GroupEntry

function entry(
  loss: Loss,
  heeds: readonly Heeded[],
  asks: readonly Asked[],
  rest: Partial<Pick<PairEntry, 'comparesPairs' | 'needsDoubt'>> = {},
): PairEntry {
  const losses: BatchLoss = (pairs, options) => pairs.map((pair) => loss(pair, options))
  return { unit: 'pair', heeds, asks, losses, comparesPairs: false, needsDoubt: false, ...rest }
}

function batchEntry(losses: BatchLoss, heeds: readonly Heeded[], asks: readonly Asked[]): PairEntry {
  return { unit: 'pair', heeds, asks, losses, comparesPairs: true, needsDoubt: false }
}

const labels = ['labelSmoothing', 'doubt'] as const
const reference = ['reference'] as const

/** In the order of help. */
export const lossTable = {
  sigmoid: entry(sigmoidLoss, ['beta', ...labels, 'divergence'], reference),
  hinge: entry(hingeLoss, ['beta', 'divergence'], reference),
  ipo: entry(ipoLoss, ['beta', 'divergence'], reference),
  ipo_sum: entry(ipoSumLoss, ['beta', 'divergence'], reference),
  robust: entry(robustLoss, ['beta', 'labelSmoothing', 'divergence'], reference),
  exo_pair: entry(exoLoss, ['beta', 'labelSmoothing', 'divergence'], reference, { needsDoubt: true }),
  nca_pair: entry(ncaLoss, ['beta', 'divergence'], reference),
  bco_pair: entry(bcoLoss, ['beta', 'divergence'], reference),
  bco_delta: entry(bcoShiftedLoss, ['beta', 'divergence', 'rewardShift'], reference, { comparesPairs: true }),
  sppo_hard: entry(sppoLoss, ['beta', 'divergence'], reference),
  apo_zero: entry(apoZeroLoss, ['beta'], reference),
  apo_down: entry(apoDownLoss, ['beta'], reference),
  discopop: entry(discopopLoss, ['beta', 'discopopTau', 'divergence'], reference),
  sigmoid_norm: entry(sigmoidNormLoss, ['beta', 'divergence'], reference),
  rpo: entry(rpoLoss, ['beta', ...labels, 'divergence', 'rpoAlpha'], reference),
  dpop: entry(dpopLoss, ['beta', 'dpopLambda'], reference),
  dpop_outside: entry(dpopOutsideLoss, ['beta', 'dpopLambda'], reference),
  odpo: entry(odpoLoss, ['beta', 'divergence', 'odpoAlpha'], ['reference', 'scores']),
  tdpo1: entry(tdpo1Loss, ['beta'], ['reference', 'kl']),
  tdpo2: entry(tdpo2Loss, ['beta', 'tdpoAlpha'], ['reference', 'kl']),
  aot: batchEntry(aotLoss, ['beta', 'labelSmoothing'], reference),
  aot_unpaired: batchEntry(aotUnpairedLoss, ['beta', 'labelSmoothing'], reference),
  simpo: entry(simpoLoss, ['beta', ...labels, 'gamma'], []),
  alphapo: entry(alphapoLoss, ['beta', ...labels, 'gamma', 'alphapoAlpha'], []),
  cpo: entry(cpoLoss, ['beta', ...labels, 'cpoAlpha'], []),
  orpo: entry(orpoLoss, ['beta'], []),
  sft: entry(sftLoss, [], []),
  kto: { unit: 'member', heeds: ['beta', 'desirableWeight', 'undesirableWeight'], asks: reference },
  step_kto: { unit: 'member', heeds: ['beta', 'desirableWeight', 'undesirableWeight'], asks: ['reference', 'scores'] },
  apo_zero_unpaired: { unit: 'member', heeds: ['beta', 'desirableWeight', 'undesirableWeight'], asks: reference },
  plackett_luce: { unit: 'list', heeds: ['beta'], asks: reference },
} satisfies Readonly<Record<string, LossEntry>>

export type LossType = keyof typeof lossTable

function isLossType(name: string): name is LossType {
  return Object.hasOwn(lossTable, name)
}

/** In the order of help. */
export const lossTypes: readonly LossType[] = Object.keys(lossTable).filter(isLossType)

/** What there is to know of a loss. */
export function entryOf(type: LossType): LossEntry {
  return lossTable[type]
}

/** The losses that heed something. */
export function lossesHeeding(option: Heeded, types: readonly LossType[] = lossTypes): LossType[] {
  return types.filter((type) => entryOf(type).heeds.includes(option))
}
