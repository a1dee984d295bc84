/** @file One update: rows through reference and policy, the loss of their pairs, the gradients, the optimizer. */

import { UserError } from '../base/errors.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { type PackedRow, type PackOptions, packGroups, pairCount } from '../batch/pack.ts'
import type { Keeping } from '../model/forward.ts'
import { clearGradients, type Learner } from '../model/learner.ts'
import type { Machine } from '../model/machine.ts'
import { backwardRow, forwardRow, scoreRow } from '../model/pass.ts'
import { type AdamOptions, adamStep, clipFactor, globalNorm, type Moments } from './adamw.ts'
import type { WeightedPair } from './batch-loss.ts'
import { meanChosenTokens, pairLogps, referenceLogps, sumLogps } from './logps.ts'
import type { PairLoss } from './loss.ts'
import { type PairTotals, pairTotals, type TokenTotals, tokenTotals } from './metrics.ts'
import { comparesPairs, lossesOf, type Objective } from './objective.ts'
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

export interface PackedObjective extends Objective {
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

/** A row of an update, with the name of what dropout draws for it. */
interface LabelledRow {
  readonly packed: PackedRow
  readonly label: string
}

/** A gradient in the making. */
interface Accumulation {
  readonly objective: PackedObjective
  /** Pairs of the whole update. */
  readonly total: number
  readonly meanChosenTokens: number
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
  objective: PackedObjective,
  batches: readonly (readonly EncodedGroup[])[],
  label: string,
): Promise<Gradient> {
  clearGradients(policy.learner)
  const rows = batches.map((groups, batch) =>
    packGroups(groups, objective.packing).map((packed, at) => ({ packed, label: `${label}.${batch}.${at}` })),
  )
  const all = rows.flat()
  const everything = all.map(({ packed }) => packed)
  const accumulation: Accumulation = {
    objective,
    total: pairCount(everything),
    meanChosenTokens: meanChosenTokens(everything),
    pairs: pairTotals(objective.beta),
    tokens: tokenTotals(),
  }
  const losses = comparesPairs(objective.terms.map(({ type }) => type))
    ? await compareRows(policy, accumulation, all)
    : undefined
  let tokenCount = 0
  for (const batch of rows) {
    for (const row of batch) {
      await accumulateRow(policy, accumulation, row, losses?.get(row))
      tokenCount += row.packed.row.ids.length
    }
    accumulation.tokens.endBatch()
  }
  const norm = gradientNorm(policy.learner)
  const { loss, ...rest } = accumulation.pairs.means()
  return { metrics: { loss, grad_norm: norm, ...rest, ...accumulation.tokens.means() }, tokens: tokenCount, norm }
}

/** The losses of the pairs of each row, where they follow from the pairs of all rows: those are scored beforehand. */
async function compareRows(
  { machine, learner, reference, cache }: Policy,
  { objective, meanChosenTokens }: Accumulation,
  rows: readonly LabelledRow[],
): Promise<ReadonlyMap<LabelledRow, readonly PairLoss[]>> {
  const all: WeightedPair[] = []
  for (const { packed, label } of rows) {
    const known = await referenceLogps(reference, packed, cache)
    const sums = sumLogps(packed, await scoreRow(machine, packed.row, learner.layers(label)))
    all.push(...pairLogps(packed, sums, known, meanChosenTokens))
  }
  const losses = lossesOf(all, objective)
  const byRow = new Map<LabelledRow, readonly PairLoss[]>()
  let start = 0
  for (const row of rows) {
    const end = start + row.packed.pairs.length
    byRow.set(row, losses.slice(start, end))
    start = end
  }
  return byRow
}

/** Adds the gradient of a row. `compared` are the losses of its pairs, where they follow from other rows too. */
async function accumulateRow(
  policy: Policy,
  accumulation: Accumulation,
  { packed, label }: LabelledRow,
  compared: readonly PairLoss[] | undefined,
): Promise<void> {
  const { machine, learner, keeping } = policy
  const reference = await referenceLogps(policy.reference, packed, policy.cache)
  const pass = await forwardRow(machine, packed.row, learner.layers(label), keeping)
  accumulation.tokens.add(packed, pass.scores)
  const pairs = pairLogps(packed, sumLogps(packed, pass.scores.logps), reference, accumulation.meanChosenTokens)
  const dSums = lossGradient(accumulation, packed, pairs, compared ?? lossesOf(pairs, accumulation.objective))
  const dLogps = machine.backend.allocate(packed.row.scored.length)
  packed.continuations.forEach((tokens, at) => {
    for (const token of tokens) dLogps[token] += dSums[at]
  })
  await backwardRow(machine, pass, dLogps, learner.gradients)
}

/** d loss / d summed log-probability of each continuation of a row, given the losses of its pairs. */
function lossGradient(
  { total, pairs: totals }: Accumulation,
  packed: PackedRow,
  pairs: readonly WeightedPair[],
  losses: readonly PairLoss[],
): number[] {
  const dSums = packed.continuations.map(() => 0)
  for (const [at, { chosen, rejected, weight }] of packed.pairs.entries()) {
    const { value, dChosen, dRejected } = losses[at]
    const flaw = flawOf({ ...pairs[at], loss: value })
    if (flaw !== undefined) throw new NotFiniteError(flaw)
    totals.add(pairs[at], value)
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
