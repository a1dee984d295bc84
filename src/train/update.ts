/** @file One update: rows through reference and policy, their loss, the gradients, the optimizer. */

import { UserError } from '../base/errors.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import { type PackedBatch, type PackedRow, type PackOptions, packGroups, packMembers } from '../batch/pack.ts'
import type { FloatArray } from '../engine/backend.ts'
import { clearGradients, type Learner } from '../model/learner.ts'
import type { Machine } from '../model/machine.ts'
import { backwardRowWith } from '../model/pass.ts'
import type { Row } from '../model/row.ts'
import { type AdamOptions, adamStep, clipFactor, globalNorm, type Moments } from './adamw.ts'
import { type Diagnostics, diagnostics } from './diagnostics.ts'
import { type PairTotals, pairTotals, type TokenTotals, tokenTotals } from './metrics.ts'
import { asksKl, asksReference, type Objective, unitOf } from './objective.ts'
import { meanChosenTokens, type PairTreatment, pairLogps } from './pair-unit.ts'
import type { RewardMean } from './reward-loss.ts'
import { type Asked, forwardPacked, type Policy, scorePacked } from './score.ts'
import type { ScoredRow } from './scored.ts'
import type { MeasuredGradient, TrendSample } from './trends.ts'
import type { BegunLoss, UnitPlace } from './unit.ts'
import { units } from './units.ts'

export interface PackedObjective extends Objective, PairTreatment {
  readonly packing: PackOptions
  /** Whether the reference counts as if it said the same of everything. */
  readonly referenceFree?: boolean
  /** Whether pairs count by how likely the policy is to write them: WPO. */
  readonly usesWeighting?: boolean
}

/** What the losses ask of every row. */
export function askedOf({ terms, referenceFree = false, usesWeighting = false }: PackedObjective): Asked {
  const types = terms.map(({ type }) => type)
  return { reference: asksReference(types) && !referenceFree, kl: asksKl(types), collision: usesWeighting }
}

export function diagnosticsFor(objective: PackedObjective): Diagnostics {
  const { terms, beta, ldAlpha = null } = objective
  const isPaired = unitOf(terms.map(({ type }) => type)) !== 'member'
  return diagnostics({ beta, ldAlpha, isPaired, hasReference: askedOf(objective).reference })
}

/** The rows that groups become: with their pairs, or with every member once. */
export function packFor(groups: readonly EncodedGroup[], { terms, packing }: PackedObjective): PackedRow[] {
  const isPaired = unitOf(terms.map(({ type }) => type)) !== 'member'
  return isPaired ? packGroups(groups, packing) : packMembers(groups, packing.maxRowTokens)
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
  /** BCO's running reward with this update in it, where a loss keeps one. */
  readonly rewardMean?: RewardMean
  /** What metrics over several updates are made of; undefined without preferences. */
  readonly sample?: TrendSample
}

/** What an update is beside its rows. */
export interface Occasion {
  /** Names what dropout draws. */
  readonly label: string
  /** The row that will be computed after the update's last one, if that is known. */
  readonly next?: Row | undefined
}

/** Says to a machine, before it computes a row, which one comes after it. */
export function expectAfter(machine: Machine, rows: readonly PackedRow[], at: number, { next }: Occasion): void {
  const coming = at + 1 < rows.length ? rows[at + 1].row : next
  if (coming !== undefined) machine.expect(coming)
}

/** A row of an update, with the name of what dropout draws for it. */
interface LabelledRow {
  readonly packed: PackedRow
  readonly label: string
  /** Its place among all rows of the update. */
  readonly at: number
}

/** A gradient in the making. */
interface Accumulation {
  readonly objective: PackedObjective
  readonly asked: Asked
  readonly meanChosenTokens: number
  readonly loss: BegunLoss
  readonly pairs: PairTotals
  readonly tokens: TokenTotals
  readonly diagnostics: Diagnostics
}

/**
 * The gradient of the mean loss over all pairs, members or lists of some microbatches, in the learner's totals.
 * @throws NotFiniteError naming what is NaN or infinite.
 */
export async function accumulateGradient(
  policy: Policy,
  objective: PackedObjective,
  batches: readonly PackedBatch[],
  occasion: Occasion,
): Promise<Gradient> {
  clearGradients(policy.learner)
  let count = 0
  const rows = batches.map((batch, number) =>
    batch.rows.map((packed, at): LabelledRow => ({ packed, label: `${occasion.label}.${number}.${at}`, at: count++ })),
  )
  const everything = rows.flat()
  const inOrder = everything.map(({ packed }) => packed)
  const asked = askedOf(objective)
  const accumulation: Accumulation = {
    objective,
    asked,
    meanChosenTokens: meanChosenTokens(inOrder),
    loss: await units[unitOf(objective.terms.map(({ type }) => type))].begin(
      objective,
      placeOf(
        policy,
        asked,
        everything,
        batches.flatMap(({ groups }) => groups),
      ),
    ),
    pairs: pairTotals(objective.beta),
    tokens: tokenTotals(unitOf(objective.terms.map(({ type }) => type))),
    diagnostics: diagnosticsFor(objective),
  }
  let tokenCount = 0
  let part: MeasuredGradient | undefined
  for (const batch of rows) {
    for (const row of batch) {
      expectAfter(policy.machine, inOrder, row.at, occasion)
      await accumulateRow(policy, accumulation, row)
      tokenCount += row.packed.row.ids.length
      if (row.at + 1 === firstPart(rows)) part = measureTotals(policy.learner, accumulation)
    }
    accumulation.tokens.endBatch()
  }
  const norm = gradientNorm(policy.learner)
  const { loss, ...rest } = accumulation.pairs.means()
  const own = accumulation.loss.metrics()
  const { rewardMean } = accumulation.loss
  return {
    metrics: {
      loss,
      grad_norm: norm,
      ...rest,
      ...own,
      ...accumulation.tokens.means(),
      ...accumulation.diagnostics.metrics(),
    },
    tokens: tokenCount,
    norm,
    sample: sampleOf(accumulation, norm, part),
    ...(rewardMean !== undefined && { rewardMean }),
  }
}

/** How many rows are a fair part of an update: its first microbatch, or its first row if there is one only. */
function firstPart([first, ...others]: readonly (readonly LabelledRow[])[]): number {
  return others.length > 0 ? first.length : 1
}

function measureTotals({ parameters }: Learner, { pairs }: Accumulation): MeasuredGradient {
  return { norm: globalNorm(parameters.map(({ gradient }) => gradient)), count: pairs.lossWeight() }
}

/** What the update says of the trends. The totals are shares of the mean over all: a part's own mean is larger. */
function sampleOf(accumulation: Accumulation, norm: number, part: MeasuredGradient | undefined): TrendSample {
  const { lengths } = accumulation.diagnostics
  const count = accumulation.pairs.lossWeight()
  if (part === undefined || part.count === count) return { lengths }
  const small = { norm: (part.norm * count) / part.count, count: part.count }
  return { lengths, gradients: { small, big: { norm, count } } }
}

/** The rows as a loss sees them that compares some with others: scored with the dropout that they are learned with. */
function placeOf(
  policy: Policy,
  asked: Asked,
  rows: readonly LabelledRow[],
  groups: readonly EncodedGroup[],
): UnitPlace {
  const { learner } = policy
  return {
    groups,
    rows: rows.map(({ packed }) => packed),
    score: (at) => scorePacked(policy, rows[at].packed, learner.layers(rows[at].label), asked),
    scoreOther: (packed, name) =>
      scorePacked({ ...policy, cache: undefined }, packed, learner.layers(`${rows[0].label}.${name}`), asked),
  }
}

/** Adds the gradient of a row. */
async function accumulateRow(policy: Policy, accumulation: Accumulation, row: LabelledRow): Promise<void> {
  const { machine, learner } = policy
  const { packed, label, at } = row
  const { asked, objective, pairs: totals } = accumulation
  const { scored, pass, scores } = await forwardPacked(policy, packed, learner.layers(label), asked)
  accumulation.tokens.add(packed, scores)
  refuseTokens(scored)
  const { losses, dLogps, dKl } = accumulation.loss.slopes(scored, at)
  for (const { value, weight } of losses) {
    if (!Number.isFinite(value)) throw new NotFiniteError(`the loss of a pair is ${value}`)
    totals.addLoss(value, weight)
  }
  const pairs = pairLogps(scored, accumulation.meanChosenTokens, objective)
  for (const pair of pairs) totals.add(pair)
  accumulation.diagnostics.add(scored, pairs)
  const floats = (values: Float64Array): FloatArray => {
    const into = machine.backend.allocate(values.length)
    into.set(values)
    return into
  }
  const slopes = { logps: floats(dLogps), ...(dKl !== undefined && { kl: floats(dKl) }) }
  await backwardRowWith(machine, pass, slopes, learner.gradients)
}

/** @throws NotFiniteError where a log-probability is not finite. */
function refuseTokens({ policy, reference }: ScoredRow): void {
  for (const [name, continuations] of Object.entries({ policy, reference })) {
    for (const logps of continuations) {
      const flaw = Array.from(logps).find((logp) => !Number.isFinite(logp))
      if (flaw !== undefined) throw new NotFiniteError(`the log-probability of a token under the ${name} is ${flaw}`)
    }
  }
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
