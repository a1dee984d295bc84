/** Excerpts of models: the forms of the real weights, and passes that run. */
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { oraclePath } from '../../test/oracle.ts'
import { ortBackend } from '../engine/session.ts'
import { formOf, isStored } from '../engine/stored.ts'
import { excerptOf } from './excerpt.ts'
import { fullLearner } from './learner.ts'
import { loadKept } from './load.ts'
import { makeMachine } from './machine.ts'
import { backwardRow, forwardRow } from './pass.ts'
import { sequenceRow } from './row.ts'
import { openWeights } from './tensor-source.ts'
import type { KeptTensors } from './weights.ts'

const names = readdirSync(oraclePath('models'))

function described(tensors: KeptTensors) {
  return Object.entries(tensors).map(([name, tensor]) => [name, tensor.shape, isStored(tensor) ? formOf(tensor) : null])
}

test.each(
  names.flatMap((name) => (['float32', 'stored', 'int8', 'int4'] as const).map((keep) => [name, keep] as const)),
)('an excerpt of %s kept as %s has the tensors of a layer in the forms of the real ones', (name, keep) => {
  const path = oraclePath(`models/${name}`)
  const { config, weights } = loadKept(path, keep)
  const source = openWeights(path)
  const excerpt = excerptOf(config, source, keep, { layers: 1, vocabularySize: 100 })
  source.close()
  expect(excerpt.weights.layers.map(described)).toEqual([described(weights.layers[0])])
  expect(excerpt.weights.embedding.shape).toEqual([100, config.hiddenSize])
  expect(Object.keys(excerpt.weights.head)).toEqual(Object.keys(weights.head))
})

test.each(names)('%s without layers, and with one, goes forward and back', async (name) => {
  const path = oraclePath(`models/${name}`)
  const source = openWeights(path)
  for (const layers of [0, 1]) {
    const { config } = loadKept(path, 'float32')
    const excerpt = excerptOf(config, source, 'float32', { layers, vocabularySize: 100 })
    const machine = makeMachine(ortBackend({ threads: 1 }), excerpt.config, excerpt.weights)
    const learner = fullLearner(machine)
    const pass = await forwardRow(machine, sequenceRow([5, 7, 9, 11, 13], 2), learner.layers(''), 'products')
    await backwardRow(machine, pass, new Float32Array(3).fill(1), learner.gradients)
    expect(pass.scores.logps.every((logp) => Number.isFinite(logp) && logp < 0)).toBe(true)
    const touched = learner.parameters.filter(({ gradient }) => gradient.some((value) => value !== 0))
    expect(touched.length).toBeGreaterThan(layers * 3)
    await machine.dispose()
  }
  source.close()
})
