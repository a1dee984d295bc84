/** What a second thread makes ahead is what would be made in place, to the bit. */
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { oraclePath } from '../../test/oracle.ts'
import { random } from '../base/random.ts'
import { ortBackend } from '../engine/session.ts'
import type { AheadResult, AheadWork } from './ahead.ts'
import { adapterLearner } from './learner.ts'
import { loadModel } from './load.ts'
import { createAdapter } from './lora.ts'
import { type Machine, makeMachine } from './machine.ts'
import { backwardRow, forwardRow, scoreRow } from './pass.ts'
import type { Row } from './row.ts'
import { rowViews, type ViewsWork } from './row-views.ts'

const TOKENS = 720

/** A tree with branches at random places, of which every third token is scored. */
function branchedRow(seed: number): Row {
  const draw = random(seed, 'row')
  const parents = Int32Array.from({ length: TOKENS }, (_, at) =>
    at > 100 && draw.uniform() < 0.02 ? draw.below(at) : at - 1,
  )
  const ids = Int32Array.from({ length: TOKENS }, () => draw.below(60))
  return { ids, parents, scored: Int32Array.from({ length: TOKENS / 3 - 1 }, (_, at) => 3 * at + 3) }
}

const machines: Machine[] = []
afterEach(async () => {
  for (const machine of machines.splice(0)) await machine.dispose()
})

function startMachine(model: string): Machine {
  const { config, weights } = loadModel(oraclePath(`models/${model}`))
  const machine = makeMachine(ortBackend({ threads: 1 }), config, weights)
  machines.push(machine)
  return machine
}

/** What the thread of a machine makes of some work, as soon as it works. */
async function madeBy({ ahead }: Machine, work: AheadWork): Promise<AheadResult> {
  for (;;) {
    const ticket = ahead.ask(work)
    await wait(20)
    const made = ticket && ahead.take(ticket)
    if (made?.kind === 'masks') ahead.giveBack(made.memory)
    if (made !== undefined) return made
  }
}

async function startAhead(machine: Machine): Promise<void> {
  const inputs = [{ name: 'x', path: 'x', width: 500 }]
  await madeBy(machine, { kind: 'masks', seed: 0, label: '', tokens: 500, inputs, share: 0.5 })
}

/** The same machine, whose thread has time for everything that is asked of it; how many masks it made is counted. */
function patient(machine: Machine, made: { masks: number }): Machine {
  const { ahead } = machine
  return {
    ...machine,
    ahead: {
      ...ahead,
      take: (ticket) => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
        const result = ahead.take(ticket)
        if (result !== undefined) made.masks++
        return result
      },
    },
  }
}

function withoutThread(machine: Machine): Machine {
  return { ...machine, ahead: { ...machine.ahead, ask: () => undefined }, expect: () => {} }
}

/** The gradients of some rows, with dropout. */
async function gradientsOf(machine: Machine, rows: readonly Row[], keeping: 'products' | 'inputs') {
  const settings = { rank: 4, alpha: 8, dropout: 0.2, rslora: false, targets: 'all-linear' } as const
  const adapter = createAdapter(machine.config, settings, 1)
  for (const tensors of adapter.layers) {
    for (const [name, { data }] of Object.entries(tensors)) if (name.includes('lora_B')) data.fill(0.01)
  }
  const { layers, gradients, parameters } = adapterLearner(machine, adapter, 7)
  for (const [at, row] of rows.entries()) {
    if (at + 1 < rows.length) machine.expect(rows[at + 1])
    // As losses do that compare rows: a pass before, with the same dropout.
    const before = await scoreRow(machine, row, layers(String(at)))
    const pass = await forwardRow(machine, row, layers(String(at)), keeping)
    expect(pass.scores.logps).toEqual(before)
    await backwardRow(machine, pass, new Float32Array(row.scored.length).fill(0.1), gradients)
  }
  return parameters.map(({ gradient }) => gradient)
}

test.each(['llama', 'gemma3_text'])(
  '%s: views and masks of a second thread change no bit of the gradients',
  async (model) => {
    const rows = [1, 2, 3].map(branchedRow)
    for (const keeping of ['products', 'inputs'] as const) {
      const machine = startMachine(model)
      await startAhead(machine)
      const made = { masks: 0 }
      const ahead = await gradientsOf(patient(machine, made), rows, keeping)
      const inPlace = await gradientsOf(withoutThread(startMachine(model)), rows, keeping)
      expect(ahead).toEqual(inPlace)
      // Up to 3 · (layers − 1) of a row: all but those of a pass's first layer, and those that the backward pass finds there.
      expect(made.masks).toBeGreaterThan(rows.length * (machine.config.layers - 1))
    }
  },
)

test('views of a second thread are those made in place, and share the blocks of a window', async () => {
  const machine = startMachine('gemma3_text')
  const [row] = [1].map(branchedRow)
  const plan = { frequencies: Float32Array.of(1, 0.1), scale: 1, reach: 1e4 }
  const work: ViewsWork = {
    row,
    kinds: [
      { plan, window: null },
      { plan: null, window: 16 },
      { plan, window: 16 },
    ],
    blockTokens: 128,
  }
  const made = await madeBy(machine, { kind: 'views', ...work })
  if (made.kind !== 'views') throw new Error('expected views')
  expect(made.views).toEqual(rowViews(work, (length) => new Float32Array(length)))
  expect(made.views[1].blocks).toBe(made.views[2].blocks)
})

test('a row is prepared once, whoever asks for it, and an expected row that never comes does no harm', async () => {
  const [row, other, third] = [1, 2, 3].map(branchedRow)
  const machine = startMachine('gemma3_text')
  const inPlace = withoutThread(startMachine('gemma3_text'))
  await startAhead(machine)
  for (let round = 0; round < 40; round++) machine.expect(round % 2 === 0 ? other : third)
  machine.expect(row)
  await wait(50)
  const prepared = machine.prepare(row)
  expect(prepared.layers).toEqual(inPlace.prepare(row).layers)
  expect(machine.prepare(row).layers[0]).toBe(prepared.layers[0])
  expect(machine.prepare(other).layers).toEqual(inPlace.prepare(other).layers)
})
