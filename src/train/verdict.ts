/**
 * @file A process reward model learns: the gradient of the cross-entropy between labels and verdicts. With p = σ(log p(right)
 * − log p(wrong)) after a step and y its label, −y·log p − (1−y)·log(1−p): DPO between the verdicts, without a reference.
 */
import { type PackedBatch, type PackedRow, pairCount } from '../batch/pack.ts'
import { clearGradients } from '../model/learner.ts'
import { backwardRow, forwardRow } from '../model/pass.ts'
import type { Pupil } from './demonstrate.ts'
import { expectAfter, type Gradient, gradientNorm, NotFiniteError, type Occasion } from './update.ts'

/** Labelled steps with one verdict of people, `weight` of them. */
export interface Verdict {
  readonly isRight: boolean
  readonly weight: number
  /** The log odds that the model gives to right. */
  readonly logit: number
}

/** What there is to say of verdicts, each by its weight. */
interface Slope {
  readonly verdict: Verdict
  /** Indices of the tokens in the row's scored ones. */
  readonly chosen: number
  readonly rejected: number
}

/** log(1 + e^−z) where z is the log odds of what people said. */
export function verdictLoss({ isRight, logit }: Pick<Verdict, 'isRight' | 'logit'>): number {
  const z = isRight ? logit : -logit
  return Math.max(-z, 0) + Math.log1p(Math.exp(-Math.abs(z)))
}

export function chanceOf(logit: number): number {
  return 1 / (1 + Math.exp(-logit))
}

/** The verdicts of a row. @param right the token that stands for right. */
export function verdictsOf(packed: PackedRow, logps: ArrayLike<number>, right: number): Verdict[] {
  return slopesOf(packed, logps, right).map(({ verdict }) => verdict)
}

function slopesOf({ row, continuations, pairs }: PackedRow, logps: ArrayLike<number>, right: number): Slope[] {
  return pairs.map(({ weight, ...pair }) => {
    const [chosen, rejected] = [continuations[pair.chosen][0], continuations[pair.rejected][0]]
    const isRight = row.ids[row.scored[chosen]] === right
    const preferred = logps[chosen] - logps[rejected]
    return { verdict: { isRight, weight, logit: isRight ? preferred : -preferred }, chosen, rejected }
  })
}

/**
 * The gradient of the mean over all labelled steps of some microbatches, in the learner's totals.
 * @param right the token that stands for right.
 * @throws NotFiniteError naming what is NaN or infinite.
 */
export async function accumulateVerdicts(
  { machine, learner, keeping }: Pupil,
  right: number,
  batches: readonly PackedBatch[],
  occasion: Occasion,
): Promise<Gradient> {
  clearGradients(learner)
  const rows = batches.flatMap((batch) => batch.rows)
  const total = pairCount(rows)
  const verdicts: Verdict[] = []
  let tokens = 0
  for (const [at, packed] of rows.entries()) {
    expectAfter(machine, rows, at, occasion)
    const pass = await forwardRow(machine, packed.row, learner.layers(`${occasion.label}.${at}`), keeping)
    const dLogps = machine.backend.allocate(packed.row.scored.length)
    for (const { verdict, chosen, rejected } of slopesOf(packed, pass.scores.logps, right)) {
      if (!Number.isFinite(verdict.logit)) throw new NotFiniteError(`the log odds of a verdict are ${verdict.logit}`)
      const slope = (verdict.weight / total) * chanceOf(verdict.isRight ? -verdict.logit : verdict.logit)
      dLogps[chosen] -= slope
      dLogps[rejected] += slope
      verdicts.push(verdict)
    }
    await backwardRow(machine, pass, dLogps, learner.gradients)
    tokens += packed.row.ids.length
  }
  const norm = gradientNorm(learner)
  const { loss, ...rest } = verdictMetrics(verdicts)
  return { metrics: { loss, grad_norm: norm, ...rest }, tokens, norm }
}

/**
 * Means over labelled steps, each by its weight: a soft label is that part of a right step, and the rest of a wrong one. What
 * is not defined, as the accuracy on wrong steps where there is none, is left out.
 */
export function verdictMetrics(verdicts: readonly Verdict[]): { readonly loss: number } & Record<string, number> {
  const mean = (part: readonly Verdict[], value: (verdict: Verdict) => number): number => {
    let [sum, weights] = [0, 0]
    for (const verdict of part) {
      sum += verdict.weight * value(verdict)
      weights += verdict.weight
    }
    return sum / weights
  }
  const isHit = ({ isRight, logit }: Verdict): number => Number(isRight ? logit >= 0 : logit < 0)
  const sides = {
    'verdicts/accuracies_right': mean(
      verdicts.filter(({ isRight }) => isRight),
      isHit,
    ),
    'verdicts/accuracies_wrong': mean(
      verdicts.filter(({ isRight }) => !isRight),
      isHit,
    ),
  }
  return {
    loss: mean(verdicts, verdictLoss),
    'verdicts/accuracies': mean(verdicts, isHit),
    ...Object.fromEntries(Object.entries(sides).filter(([, value]) => !Number.isNaN(value))),
    'verdicts/mean': mean(verdicts, ({ logit }) => chanceOf(logit)),
    'verdicts/right': mean(verdicts, ({ isRight }) => Number(isRight)),
    'verdicts/brier': mean(verdicts, ({ isRight, logit }) => (chanceOf(logit) - Number(isRight)) ** 2),
  }
}
