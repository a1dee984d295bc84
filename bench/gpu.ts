/**
 * @file A training row on a graphics card against the processor: npm run check:gpu.
 *
 * The same row forward and backward (LoRA r16 on all linears, random weights) on both, in turns. Prints the largest
 * deviation of log-probabilities and gradients, as a part of the largest magnitude of each tensor, and the ratio of the
 * speeds. Ends with code 1 where the deviation is above 1e-3, or no device is there. Set DEVICE=webgpu|cuda (else those
 * that answer), ROWS=256,1024, ROUNDS, THREADS, SHAPE (shapes.ts).
 */
import { availableParallelism } from 'node:os'
import { messageOf } from '../src/base/errors.ts'
import type { Backend, FloatArray } from '../src/engine/backend.ts'
import { adapterLearner, clearGradients } from '../src/model/learner.ts'
import { createAdapter } from '../src/model/lora.ts'
import { makeMachine } from '../src/model/machine.ts'
import { backwardRow, forwardRow } from '../src/model/pass.ts'
import { sequenceRow } from '../src/model/row.ts'
import type { ModelWeights } from '../src/model/weights.ts'
import { openBackend } from '../src/recipe/device.ts'
import { deviceField } from '../src/recipe/device-settings.ts'
import { median, printTable, setting, showSpread, timesOf } from './measure.ts'
import { randomWeights, shapeAsked } from './shapes.ts'

const THREADS = setting('THREADS', availableParallelism())
const ROUNDS = setting('ROUNDS', 3)
const ROWS = (process.env['ROWS'] ?? '256,1024').split(',').map(Number)
const MOST = 1e-3

const { name, config } = shapeAsked()

/** A row on a backend: what it gives, and how it is run again. */
function openRow(backend: Backend, weights: ModelWeights, tokens: number) {
  const machine = makeMachine(backend, config, weights)
  const settings = { rank: 16, alpha: 32, dropout: 0, rslora: false, targets: 'all-linear' } as const
  const learner = adapterLearner(machine, createAdapter(config, settings, 0))
  for (const { name: parameter, values } of learner.parameters) {
    if (parameter.includes('lora_B')) for (let at = 0; at < values.length; at++) values[at] = 0.01 * Math.sin(at)
  }
  const row = sequenceRow(
    Int32Array.from({ length: tokens }, (_, at) => (at * 7919 + 13) % config.vocabularySize),
    tokens - Math.floor(tokens / 4),
  )
  const dLogps = new Float32Array(row.scored.length).fill(1)
  const run = async (): Promise<readonly FloatArray[]> => {
    clearGradients(learner)
    const pass = await forwardRow(machine, row, learner.layers(''), 'products')
    await backwardRow(machine, pass, dLogps, learner.gradients)
    return [pass.scores.logps, ...learner.parameters.map(({ gradient }) => gradient)]
  }
  return { run, dispose: () => machine.dispose() }
}

/** The largest difference, as a part of the largest magnitude. A NaN counts as endless. */
function deviation(found: FloatArray, expected: FloatArray): number {
  let [difference, magnitude] = [0, 0]
  for (let at = 0; at < expected.length; at++) {
    const own = Math.abs(found[at] - expected[at])
    difference = Math.max(difference, Number.isNaN(own) ? Number.POSITIVE_INFINITY : own)
    magnitude = Math.max(magnitude, Math.abs(expected[at]))
  }
  return magnitude === 0 ? difference : difference / magnitude
}

async function compare(backend: Backend, host: Backend, tokens: number) {
  const weights = randomWeights(config)
  const [device, processor] = [openRow(backend, weights, tokens), openRow(host, weights, tokens)]
  const [found, expected] = [await device.run(), await processor.run()] // also compiles
  const worst = Math.max(...expected.map((numbers, at) => deviation(found[at], numbers)))
  const speeds: number[] = []
  const ratios: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const own = median(await timesOf(3, device.run))
    const other = median(await timesOf(1, processor.run))
    speeds.push((1000 * tokens) / own)
    ratios.push(other / own)
  }
  await device.dispose()
  await processor.dispose()
  return { worst, speeds, ratios }
}

const asked = deviceField.parse(process.env['DEVICE'])
const host = await openBackend({ threads: THREADS })
let isGood = false
for (const device of asked === undefined ? (['webgpu', 'cuda'] as const) : [asked]) {
  try {
    const backend = await openBackend({ threads: THREADS, device })
    const rows: string[][] = []
    for (const tokens of ROWS) {
      const { worst, speeds, ratios } = await compare(backend, host, tokens)
      rows.push([String(tokens), worst.toExponential(1), showSpread(speeds, 0), showSpread(ratios, 2)])
      isGood = worst <= MOST
      if (!isGood) process.exitCode = 1
    }
    console.log(`${name} on ${device}, against ${THREADS} threads of the processor`)
    printTable(['tokens', 'largest deviation', 'tok/s', 'ratio of speeds'], rows)
  } catch (error) {
    console.log(messageOf(error))
  }
}
if (!isGood) process.exitCode = 1
