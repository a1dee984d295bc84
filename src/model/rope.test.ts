/**
 * Rope scaled for longer contexts: logits, greedy tokens and frequencies of transformers (test/fixtures/rope/make.py) on the
 * weights of the oracle's first variant.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { relativeError } from '../../test/oracle.ts'
import { ortBackend } from '../engine/session.ts'
import { type Decoder, openDecoder } from './decode.ts'
import { families, parseModelConfig } from './families.ts'
import { inFloat32 } from './keep.ts'
import { makeMachine } from './machine.ts'
import { logitsOf, weightLayers } from './pass.ts'
import { rotaryPlan } from './rope.ts'
import { sequenceRow } from './row.ts'
import { openWeights } from './tensor-source.ts'
import { loadWeights } from './weights.ts'

interface Case {
  readonly base: string
  readonly config: Readonly<Record<string, unknown>>
  readonly ids: readonly number[]
  /** Of every fifth position, from 4 on. */
  readonly logits: readonly (readonly number[])[]
  readonly greedy: readonly number[]
  readonly frequencies: readonly number[]
  readonly scale: number
}

const FIXTURES = fileURLToPath(new URL('../../test/fixtures', import.meta.url))
const cases: Readonly<Record<string, Case>> = JSON.parse(readFileSync(`${FIXTURES}/rope/models.json`, 'utf8'))

function machineOf({ base, config: json }: Case) {
  const config = parseModelConfig(json, 'config.json')
  const source = openWeights(`${FIXTURES}/oracle/models/${base}`)
  const weights = loadWeights(source, families[config.family], config, inFloat32)
  source.close()
  return makeMachine(ortBackend({ threads: 1 }), config, weights)
}

function bestOf(logits: ArrayLike<number>): number {
  let best = 0
  for (let at = 1; at < logits.length; at++) if (logits[at] > logits[best]) best = at
  return best
}

async function greedy(decoder: Decoder, ids: readonly number[], count: number): Promise<number[]> {
  const batch = decoder.openBatch(1)
  const prompt = await decoder.prompt([...ids])
  batch.start(0, prompt)
  const tokens = [bestOf(prompt.logits)]
  while (tokens.length < count) tokens.push(bestOf((await batch.step([tokens[tokens.length - 1]])).data))
  return tokens
}

test.each(Object.entries(cases))(
  '%s: frequencies, logits and greedy tokens are those of transformers',
  async (_, own) => {
    const machine = machineOf(own)
    const [{ rope }] = machine.config.kinds
    if (rope === null) throw new Error('nothing is turned')
    const plan = rotaryPlan(rope)
    expect(relativeError(plan.frequencies, Float32Array.from(own.frequencies))).toBeLessThan(2e-7)
    expect(plan.scale).toBeCloseTo(own.scale, 12)
    const { data, shape } = await logitsOf(machine, sequenceRow(own.ids), weightLayers(machine))
    const found = own.logits.flatMap((_, at) => [...data.subarray((5 * at + 4) * shape[1], (5 * at + 5) * shape[1])])
    expect(relativeError(Float32Array.from(found), Float32Array.from(own.logits.flat()))).toBeLessThan(5e-5)
    const decoder = await openDecoder(machine, { storage: 'float32' })
    expect(await greedy(decoder, own.ids.slice(0, 9), own.greedy.length)).toEqual(own.greedy)
    await decoder.dispose()
    await machine.dispose()
  },
)

test('longrope is refused beyond the length of pretraining, and sampling ends there', async () => {
  const own = cases['phi3, longrope']
  const machine = machineOf(own)
  expect(machine.config.maxPositions).toBe(64)
  const ids = Array.from({ length: 65 }, (_, at) => at)
  await logitsOf(machine, sequenceRow(ids.slice(1)), weightLayers(machine))
  await expect(logitsOf(machine, sequenceRow(ids), weightLayers(machine))).rejects.toThrow(
    "this model's longrope is supported up to 64 tokens, for which it was pretrained, and not for 65",
  )
  await machine.dispose()
})
