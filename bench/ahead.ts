/**
 * @file What it is worth to make views and dropout masks beside the computation: npm run bench:ahead.
 *
 * A row forward and backward in turns: without dropout, with it as it is trained, and with it where everything is made
 * when it is needed. Set TOKENS, ROUNDS, THREADS, SHAPE (shapes.ts).
 */
import { availableParallelism } from 'node:os'
import { ortBackend } from '../src/engine/session.ts'
import { adapterLearner } from '../src/model/learner.ts'
import { createAdapter } from '../src/model/lora.ts'
import { type Machine, makeMachine } from '../src/model/machine.ts'
import { backwardRow, forwardRow } from '../src/model/pass.ts'
import { sequenceRow } from '../src/model/row.ts'
import { printTable, setting, showSpread, timesOf } from './measure.ts'
import { randomWeights, shapeAsked } from './shapes.ts'

const TOKENS = setting('TOKENS', 512)
const ROUNDS = setting('ROUNDS', 9)
const { name, config } = shapeAsked()
const machine = makeMachine(
  ortBackend({ threads: setting('THREADS', availableParallelism()) }),
  config,
  randomWeights(config),
)
const alone: Machine = { ...machine, ahead: { ...machine.ahead, ask: () => undefined }, expect: () => {} }

const ids = Int32Array.from({ length: TOKENS }, (_, at) => (at * 7919 + 13) % config.vocabularySize)
const rowOf = () => sequenceRow(ids, TOKENS - Math.floor(TOKENS / 4))
const dLogps = new Float32Array(rowOf().scored.length).fill(1)

function updatesOf(own: Machine, dropout: number): () => Promise<void> {
  const settings = { rank: 16, alpha: 32, dropout, rslora: false, targets: 'all-linear' } as const
  const { layers, gradients } = adapterLearner(own, createAdapter(config, settings, 0))
  let [count, row] = [0, rowOf()]
  return async () => {
    const next = rowOf()
    own.prepare(row)
    own.expect(next)
    const pass = await forwardRow(own, row, layers(String(count++)), 'products')
    await backwardRow(own, pass, dLogps, gradients)
    row = next
  }
}

const ways = {
  'no dropout': updatesOf(machine, 0),
  'no dropout, nothing ahead': updatesOf(alone, 0),
  dropout: updatesOf(machine, 0.05),
  'dropout, nothing ahead': updatesOf(alone, 0.05),
}
const times = new Map<string, number[]>()
for (const [way, update] of Object.entries(ways)) {
  await update()
  times.set(way, [])
}
for (let round = 0; round < ROUNDS; round++) {
  for (const [way, update] of Object.entries(ways)) times.get(way)?.push(...(await timesOf(1, update)))
}
const against = (way: string, other: string): number[] => {
  const others = times.get(other) ?? []
  return (times.get(way) ?? []).map((time, round) => time / others[round])
}
console.log(`${name}, a row of ${TOKENS} tokens, forward and backward; times by those where nothing is made ahead`)
printTable(
  ['', 'ms', 'time / nothing ahead'],
  ['no dropout', 'dropout'].map((way) => [
    way,
    showSpread(times.get(way) ?? [], 0),
    showSpread(against(way, `${way}, nothing ahead`), 3),
  ]),
)
await machine.dispose()
