/** @file Supervised fine-tuning: the gradient of the mean negative log-likelihood of demonstrated tokens. */
import type { PackedBatch, PackedRow } from '../batch/pack.ts'
import type { Keeping } from '../model/forward.ts'
import { clearGradients, type Learner } from '../model/learner.ts'
import type { Machine } from '../model/machine.ts'
import { backwardRow, forwardRow } from '../model/pass.ts'
import { expectAfter, type Gradient, gradientNorm, NotFiniteError, type Occasion } from './update.ts'

/** A model that learns, without a reference. */
export interface Pupil {
  readonly machine: Machine
  readonly learner: Learner
  readonly keeping: Exclude<Keeping, 'nothing'>
}

/**
 * The gradient of −Σ log p / N over the N demonstrated tokens of some microbatches together (each token counts alike,
 * as in transformers' `num_items_in_batch`), in the learner's totals. Metrics are named as in TRL's SFTTrainer.
 * @throws NotFiniteError naming what is NaN or infinite.
 */
export async function accumulateDemonstrations(
  { machine, learner, keeping }: Pupil,
  batches: readonly PackedBatch[],
  occasion: Occasion,
): Promise<Gradient> {
  clearGradients(learner)
  const rows = batches.flatMap((batch) => batch.rows)
  const total = rows.reduce((count, row) => count + demonstratedTokens(row), 0)
  const totals = demonstrationTotals()
  let tokens = 0
  for (const [at, row] of rows.entries()) {
    expectAfter(machine, rows, at, occasion)
    const pass = await forwardRow(machine, row.row, learner.layers(`${occasion.label}.${at}`), keeping)
    totals.add(row, pass.scores)
    const dLogps = machine.backend.allocate(row.row.scored.length)
    for (const continuation of row.continuations) for (const token of continuation) dLogps[token] -= 1 / total
    await backwardRow(machine, pass, dLogps, learner.gradients)
    tokens += row.row.ids.length
  }
  const { loss, ...rest } = totals.means()
  if (!Number.isFinite(loss)) throw new NotFiniteError(`the loss of the demonstrated tokens is ${loss}`)
  const norm = gradientNorm(learner)
  return { metrics: { loss, grad_norm: norm, ...rest }, tokens, norm }
}

function demonstratedTokens({ continuations }: PackedRow): number {
  return continuations.reduce((count, tokens) => count + tokens.length, 0)
}

interface Scores {
  readonly logps: ArrayLike<number>
  readonly best: ArrayLike<number>
  readonly entropy: ArrayLike<number>
}

interface DemonstrationTotals {
  add(row: PackedRow, scores: Scores): void
  /** Means over tokens. */
  means(): { readonly loss: number; readonly entropy: number; readonly mean_token_accuracy: number }
}

export function demonstrationTotals(): DemonstrationTotals {
  let [count, loss, entropy, greedy] = [0, 0, 0, 0]
  return {
    add: ({ continuations }, { logps, best, entropy: spread }) => {
      for (const tokens of continuations) {
        count += tokens.length
        for (const at of tokens) {
          loss -= logps[at]
          entropy += spread[at]
          greedy += Number(logps[at] >= best[at])
        }
      }
    },
    means: () => ({ loss: loss / count, entropy: entropy / count, mean_token_accuracy: greedy / count }),
  }
}
