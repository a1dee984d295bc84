/** @file How likely demonstrated tokens are under the policy, on held-out rows. */
import type { EncodedGroup } from '../batch/encode.ts'
import { packMembers } from '../batch/pack.ts'
import type { FedLayers } from '../model/forward.ts'
import type { Machine } from '../model/machine.ts'
import { scoreRow } from '../model/pass.ts'
import type { PreferenceProgress } from './preference.ts'

/** `eval_loss` is the mean negative log-likelihood of a token, `eval_perplexity` its exponential. */
export async function* evaluateDemonstrations(
  machine: Machine,
  layers: FedLayers,
  groups: readonly EncodedGroup[],
  maxRowTokens: number,
): AsyncGenerator<PreferenceProgress, Record<string, number>> {
  const rows = packMembers(groups, maxRowTokens)
  let [tokens, loss] = [0, 0]
  for (const [at, packed] of rows.entries()) {
    const logps = await scoreRow(machine, packed.row, layers)
    for (const continuation of packed.continuations) {
      tokens += continuation.length
      for (const token of continuation) loss -= logps[token]
    }
    yield { done: at + 1, total: rows.length }
  }
  const mean = loss / tokens
  return { eval_loss: mean, eval_perplexity: Math.exp(mean), eval_tokens: tokens }
}
