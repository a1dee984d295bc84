/**
 * @file Rows of a model on CUDA, for check.ts. Arguments: the model's folder, tokens of a row, what is kept
 * for the way back. Tells what crossed by `process.send`.
 */
import { readFileSync } from 'node:fs'
import { elementCount } from '../../src/engine/dims.ts'
import { ortDevice, withDevice } from '../../src/engine/ort-device.ts'
import { ortBackend } from '../../src/engine/session.ts'
import { adapterLearner, type Learner } from '../../src/model/learner.ts'
import { loadModel } from '../../src/model/load.ts'
import { createAdapter } from '../../src/model/lora.ts'
import { makeMachine } from '../../src/model/machine.ts'
import { backwardRow, forwardRow, scoreRow, weightLayers } from '../../src/model/pass.ts'
import { sequenceRow } from '../../src/model/row.ts'
import { watched } from '../../test/watched-device.ts'

const [path, tokens, kept] = process.argv.slice(2)
const keeping = kept === 'products' ? 'products' : 'inputs'

/** Bytes that went to the card and came from it, and the most memory taken there (struct counts of runtime.c). */
function counts(): { readonly up: number; readonly down: number; readonly peak: number } {
  const bytes = readFileSync(process.env['STEPDPO_CUDA_COUNTS'] ?? '')
  const [up, down, , peak] = new BigUint64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 32))
  return { up: Number(up), down: Number(down), peak: Number(peak) }
}

const { config, weights } = loadModel(path)
const { device, crossed } = watched(ortDevice('cuda'))
const machine = makeMachine(withDevice(ortBackend({ threads: 2 }), device), config, weights)
const lora = { rank: 16, alpha: 32, rslora: false, targets: 'all-linear' } as const
const learners = [0, 0.1].map((dropout) => adapterLearner(machine, createAdapter(config, { ...lora, dropout }, 0), 0))
const row = sequenceRow(
  Int32Array.from({ length: Number(tokens) }, (_, at) => (at * 7919 + 13) % config.vocabularySize),
)

async function learnRow(learner: Learner): Promise<void> {
  const pass = await forwardRow(machine, row, learner.layers('row'), keeping)
  await backwardRow(machine, pass, new Float32Array(row.scored.length), learner.gradients)
}
const score = () => scoreRow(machine, row, weightLayers(machine))

// A run has graphs for the reference, and with dropout or without.
await score()
await learnRow(learners[0])
const { peak } = counts()
for (const learner of learners) await learnRow(learner)
const before = counts()
crossed.length = 0
await score()
for (const learner of learners) await learnRow(learner)
const { up, down } = counts()
const bytesOf = (numbers: readonly number[]): number => 4 * numbers.reduce((sum, count) => sum + count, 0)
process.send?.({
  up: [up - before.up, bytesOf(crossed.map((run) => run.up))],
  down: [down - before.down, bytesOf(crossed.map((run) => run.down))],
  peak,
  weights: bytesOf(weights.layers.flatMap((layer) => Object.values(layer)).map(({ shape }) => elementCount(shape))),
})
process.exit(0)
