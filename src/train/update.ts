/** @file One update: rows through reference and policy, the loss of their pairs, the gradients, the optimizer. */

import { UserError } from '../base/errors.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { type PackedRow, type PackOptions, packGroups, pairCount } from '../batch/pack.ts'
import type { Keeping } from '../model/forward.ts'
import { clearGradients, type Learner } from '../model/learner.ts'
import type { Machine } from '../model/machine.ts'
import { backwardRow, forwardRow } from '../model/pass.ts'
import { type AdamOptions, adamStep, clipFactor, globalNorm, type Moments } from './adamw.ts'
import { referenceLogps, sumLogps } from './logps.ts'
import { type LossOptions, type LossType, losses } from './loss.ts'
import { type PairTotals, pairTotals, type TokenTotals, tokenTotals } from './metrics.ts'
import type { ReferenceCache } from './reference.ts'

/** What turns groups into gradients. */
export interface Policy {
  readonly machine: Machine
  readonly learner: Learner
  /** A machine with the weights from before training: the same one where only an adapter learns. */
  readonly reference: Machine
  readonly cache: ReferenceCache
  readonly keeping: Exclude<Keeping, 'nothing'>
}

export interface Objective extends LossOptions {
  readonly lossType: LossType
  readonly packing: PackOptions
}

/** Training cannot go on: a number is not finite. */
export class NotFiniteError extends UserError {
  override name = 'NotFiniteError'
}

export interface Gradient {
  readonly metrics: Readonly<Record<string, number>>
  /** Tokens that were computed, each once. */
  readonly tokens: number
  readonly norm: number
}

/** A gradient in the making. */
interface Accumulation {
  readonly objective: Objective
  /** Pairs of the whole update. */
  readonly total: number
  readonly pairs: PairTotals
  readonly tokens: TokenTotals
}

/**
 * The gradient of the mean loss over all pairs of some microbatches, in the learner's totals.
 * @param label names what dropout draws.
 * @throws NotFiniteError naming what is NaN or infinite.
 */
export async function accumulateGradient(
  policy: Policy,
  objective: Objective,
  batches: readonly (readonly EncodedGroup[])[],
  label: string,
): Promise<Gradient> {
  clearGradients(policy.learner)
  const packed = batches.map((groups) => packGroups(groups, objective.packing))
  const total = packed.reduce((count, rows) => count + pairCount(rows), 0)
  const accumulation = { objective, total, pairs: pairTotals(objective.beta), tokens: tokenTotals() }
  let tokenCount = 0
  for (const [batch, rows] of packed.entries()) {
    for (const [at, row] of rows.entries()) {
      await accumulateRow(policy, accumulation, row, `${label}.${batch}.${at}`)
      tokenCount += row.row.ids.length
    }
    accumulation.tokens.endBatch()
  }
  const norm = gradientNorm(policy.learner)
  const { loss, ...rest } = accumulation.pairs.means()
  return { metrics: { loss, grad_norm: norm, ...rest, ...accumulation.tokens.means() }, tokens: tokenCount, norm }
}

async function accumulateRow(
  policy: Policy,
  accumulation: Accumulation,
  packed: PackedRow,
  label: string,
): Promise<void> {
  const { machine, learner, keeping } = policy
  const reference = await referenceLogps(policy.reference, packed, policy.cache)
  const pass = await forwardRow(machine, packed.row, learner.layers(label), keeping)
  accumulation.tokens.add(packed, pass.scores)
  const dSums = lossGradient(accumulation, packed, sumLogps(packed, pass.scores.logps), reference)
  const dLogps = machine.backend.allocate(packed.row.scored.length)
  packed.continuations.forEach((tokens, at) => {
    for (const token of tokens) dLogps[token] += dSums[at]
  })
  await backwardRow(machine, pass, dLogps, learner.gradients)
}

/** d loss / d summed log-probability of each continuation of a row. */
function lossGradient(
  { objective, total, pairs }: Accumulation,
  packed: PackedRow,
  policy: readonly number[],
  reference: readonly number[],
): number[] {
  const dSums = policy.map(() => 0)
  for (const { chosen, rejected, weight } of packed.pairs) {
    const pair = {
      chosen: policy[chosen],
      rejected: policy[rejected],
      referenceChosen: reference[chosen],
      referenceRejected: reference[rejected],
    }
    const { value, dChosen, dRejected } = losses[objective.lossType](pair, objective)
    const flaw = flawOf({ ...pair, loss: value })
    if (flaw !== undefined) throw new NotFiniteError(flaw)
    pairs.add(pair, value, weight)
    dSums[chosen] += (weight / total) * dChosen
    dSums[rejected] += (weight / total) * dRejected
  }
  return dSums
}

/** What of a pair is not finite, if anything: its log-probabilities before the loss that follows from them. */
function flawOf(numbers: Readonly<Record<string, number>>): string | undefined {
  const [name, value] = Object.entries(numbers).find(([, number]) => !Number.isFinite(number)) ?? []
  if (name === undefined) return undefined
  return name === 'loss' ? `the loss of a pair is ${value}` : `the log-probability of a pair (${name}) is ${value}`
}

/** The L2 norm of a learner's totals. @throws NotFiniteError naming a tensor. */
export function gradientNorm(learner: Learner): number {
  const norm = globalNorm(learner.parameters.map(({ gradient }) => gradient))
  if (!Number.isFinite(norm)) throw new NotFiniteError(`the gradient of ${firstNotFinite(learner)}`)
  return norm
}

function firstNotFinite({ parameters }: Learner): string {
  const found = parameters.find(({ gradient }) => gradient.some((value) => !Number.isFinite(value)))
  return found === undefined ? 'all tensors together is too large' : `${found.name} is not finite`
}

/**
 * Applies the gradient to what learns. `time` counts updates from 1.
 * @throws NotFiniteError naming a tensor that, or whose moments, no longer are finite: it must not be saved.
 */
export function applyGradient(
  { parameters }: Learner,
  moments: ReadonlyMap<string, Moments>,
  options: AdamOptions & { readonly maxGradNorm: number },
  { norm, time, rate }: { readonly norm: number; readonly time: number; readonly rate: number },
): void {
  const factor = clipFactor(norm, options.maxGradNorm)
  for (const parameter of parameters) {
    const own = moments.get(parameter.name)
    if (own === undefined) throw new Error(`${parameter.name} has no moments`)
    const isWhole = adamStep(parameter, own, options, { time, rate, factor })
    if (!isWhole) throw new NotFiniteError(`${parameter.name} or its moments after the step are not finite`)
  }
}
