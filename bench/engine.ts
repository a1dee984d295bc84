/**
 * @file How much of the machine's rate of matrix products a training row reaches: npm run bench:engine.
 *
 * Each size of row runs in a process of its own. In turns it times the row forward and backward and, alone, every
 * product of it with its own shapes in ONNX Runtime. The ratio of a round is the time of the products alone to the time
 * of the row. The peak of memory is that before the products run alone. Set ROWS=256,512,1024, ROUNDS, THREADS, SHAPE (shapes.ts).
 */
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { ortBackend } from '../src/engine/session.ts'
import { makeMachine } from '../src/model/machine.ts'
import { inChild } from './child.ts'
import { median, peakGb, printTable, setting, showSpread, timesOf } from './measure.ts'
import { trainingPass } from './pass.ts'
import { aloneProgram, productsOf } from './products.ts'
import { randomWeights, shapeAsked } from './shapes.ts'

const THREADS = setting('THREADS', availableParallelism())
const ROUNDS = setting('ROUNDS', 5)
const ROWS = process.env['ROWS'] ?? '256,512,1024'
const MEMORY_LIMIT_GB = 2
const PASSES_PER_ROUND = 3

const figuresSchema = z.object({
  peak: z.number(),
  /** Of all products of a row. */
  flops: z.number(),
  /** Milliseconds of the row, and of its products alone. */
  rounds: z.array(z.object({ row: z.number(), products: z.number() })),
})

type Figures = z.output<typeof figuresSchema>

/** Runs of a product alone in one round: few of long ones. */
function repeatsOf(flops: number): number {
  return Math.max(3, Math.min(20, 1e9 / flops))
}

async function measure(tokens: number): Promise<Figures> {
  const { config } = shapeAsked()
  const machine = makeMachine(ortBackend({ threads: THREADS }), config, randomWeights(config))
  const work = trainingPass(machine, tokens)
  await timesOf(2, work)
  const peak = peakGb()
  const products = await productsOf(machine, (watched) => trainingPass(watched, tokens)())
  const alone = await Promise.all(
    products.map(async (product) => ({ ...product, run: await aloneProgram(product, THREADS) })),
  )
  const rounds: Figures['rounds'] = []
  // In turns, so that a slow minute of the machine falls on both sides.
  for (let round = 0; round < ROUNDS; round++) {
    const row = median(await timesOf(PASSES_PER_ROUND, work))
    let together = 0
    for (const { run, flops, count } of alone) together += count * median(await timesOf(repeatsOf(flops), run))
    rounds.push({ row, products: together })
  }
  return { peak, flops: products.reduce((sum, { flops, count }) => sum + flops * count, 0), rounds }
}

function showFigures(tokens: string, { peak, flops, rounds }: Figures): string[] {
  const row = median(rounds.map((round) => round.row))
  const products = median(rounds.map((round) => round.products))
  return [
    tokens,
    ((1000 * Number(tokens)) / row).toFixed(0),
    (flops / row / 1e6).toFixed(0),
    (flops / products / 1e6).toFixed(0),
    showSpread(
      rounds.map((round) => round.products / round.row),
      3,
    ),
    peak.toFixed(2),
  ]
}

async function compare(): Promise<void> {
  console.log(
    `${shapeAsked().name} shapes, LoRA r16 on all linears, scored at a quarter of the positions, float32, ${THREADS} threads, ` +
      `${ROUNDS} rounds; goals: ratio ≥ 0.85, for SmolLM2 peak ≤ ${MEMORY_LIMIT_GB.toFixed(1)} GB at 1,024`,
  )
  const rows: string[][] = []
  for (const tokens of ROWS.split(',')) {
    rows.push(showFigures(tokens, await inChild(import.meta.filename, [tokens], figuresSchema)))
  }
  printTable(['row', 'tok/s', 'GFLOP/s ours', 'GFLOP/s products', 'ratio median (min–max)', 'peak GB'], rows)
}

const [tokens] = process.argv.slice(2)
if (tokens === undefined) await compare()
else process.send?.(await measure(Number(tokens)))
