/**
 * @file Our training pass against hand-tuned PyTorch: npm run bench:torch.
 *
 * torch_best.py of the peers runs one packed row of 256, 512 and 1,024 tokens forward and backward: LoRA r16 on all
 * linears, logits at the last quarter of the positions only, activations kept, the sum of log-probabilities as loss, the
 * best of four passes. Ours does the same work with the same weights. Each side runs in a process of its own, in turns.
 * SHAPE=Qwen2.5-0.5B or TinyLlama-1.1B: the same by torch_shape.py, with random weights on both sides. Set ROUNDS.
 * Threads are two, as in the peer's script.
 */
import { join } from 'node:path'
import { z } from 'zod'
import { ortBackend } from '../src/engine/session.ts'
import { type LoadedModel, loadModel } from '../src/model/load.ts'
import { makeMachine } from '../src/model/machine.ts'
import { inChild } from './child.ts'
import { median, printTable, setting, showSpread, timesOf } from './measure.ts'
import { trainingPass } from './pass.ts'
import { findPeer, type Peer, ROOT } from './peer.ts'
import { randomWeights, shapeAsked, shapes } from './shapes.ts'

const ROUNDS = setting('ROUNDS', 3)
const ROWS = [256, 512, 1024]
const THREADS = 2
const PASSES = 4

/** Tokens a second for each of ROWS. */
const ratesSchema = z.array(z.number().positive()).length(ROWS.length)
type Rates = z.output<typeof ratesSchema>

/** The model of a folder, or random weights, which take the same time. */
function modelOf(folder: string): Pick<LoadedModel, 'config' | 'weights'> {
  if (folder !== '') return loadModel(folder)
  const { config } = shapeAsked()
  return { config, weights: randomWeights(config) }
}

async function measure(folder: string): Promise<Rates> {
  const { config, weights } = modelOf(folder)
  const machine = makeMachine(ortBackend({ threads: THREADS }), config, weights)
  const rates: Rates = []
  for (const tokens of ROWS) {
    rates.push((1000 * tokens) / Math.min(...(await timesOf(PASSES, trainingPass(machine, tokens)))))
  }
  return rates
}

async function measurePeer(peer: Peer): Promise<Rates> {
  const { name } = shapeAsked()
  const printed = await (name === 'SmolLM2-135M'
    ? peer.run('torch_best.py')
    : peer.run(join(ROOT, 'bench', 'torch_shape.py'), [JSON.stringify(shapes[name])]))
  const rates = new Map(
    Array.from(
      printed.matchAll(/^(\d+) .* ([\d.]+) tok\/s/gm),
      ([, row, rate]) => [Number(row), Number(rate)] as const,
    ),
  )
  return ratesSchema.parse(ROWS.map((row) => rates.get(row)))
}

async function compare(): Promise<void> {
  const peer = await findPeer(['torch', 'transformers', 'peft', 'gguf'])
  console.log(
    `${shapeAsked().name}, LoRA r16 on all linears, a row forward and backward, scored at a quarter of the positions, float32, ` +
      `${THREADS} threads, best of ${PASSES} passes, ${ROUNDS} rounds; goal: ratio ≥ 1.2`,
  )
  const folder = shapeAsked().name === 'SmolLM2-135M' ? (peer?.model ?? '') : ''
  const ours: Rates[] = []
  const theirs: Rates[] = []
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await inChild(import.meta.filename, [folder], ratesSchema))
    if (peer !== undefined) theirs.push(await measurePeer(peer))
  }
  const rateOf = (rounds: readonly Rates[], at: number): string =>
    rounds.length === 0 ? '' : median(rounds.map((rates) => rates[at])).toFixed(0)
  const ratioOf = (at: number): string =>
    theirs.length === 0
      ? ''
      : showSpread(
          theirs.map((rates, round) => ours[round][at] / rates[at]),
          2,
        )
  printTable(
    ['row', 'tok/s ours', 'tok/s PyTorch', 'ratio median (min–max)'],
    ROWS.map((row, at) => [String(row), rateOf(ours, at), rateOf(theirs, at), ratioOf(at)]),
  )
}

const [folder] = process.argv.slice(2)
if (folder === undefined) await compare()
else process.send?.(await measure(folder))
