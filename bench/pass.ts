/** @file A training pass over one row: what the benchmarks of the engine time. */
import { adapterLearner } from '../src/model/learner.ts'
import { createAdapter } from '../src/model/lora.ts'
import type { Machine } from '../src/model/machine.ts'
import { backwardRow, forwardRow } from '../src/model/pass.ts'
import { sequenceRow } from '../src/model/row.ts'

/**
 * A row forward and backward: LoRA r16 on all linears, activations kept, the last quarter of the tokens scored, and the
 * gradient of the sum of their log-probabilities. The work of torch_best.py among the peers.
 */
export function trainingPass(machine: Machine, tokens: number): () => Promise<void> {
  const settings = { rank: 16, alpha: 32, dropout: 0, rslora: false, targets: 'all-linear' } as const
  const { layers, gradients } = adapterLearner(machine, createAdapter(machine.config, settings, 0))
  const ids = Int32Array.from({ length: tokens }, (_, at) => (at * 7919 + 13) % machine.config.vocabularySize)
  const row = sequenceRow(ids, tokens - Math.floor(tokens / 4))
  const dLogps = new Float32Array(row.scored.length).fill(1)
  return async () => {
    const pass = await forwardRow(machine, row, layers(''), 'products')
    await backwardRow(machine, pass, dLogps, gradients)
  }
}
