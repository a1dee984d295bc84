/** Training on weights that are rounded while they are loaded, and on 16-bit ones as they are stored. */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { writeDurably } from '../src/base/files.ts'
import type { RunEvent } from '../src/data/events.ts'
import { fromBfloat16, toBfloat16 } from '../src/engine/half.ts'
import { loadAdapter, namedFactors } from '../src/model/adapter-file.ts'
import { loadConfig, loadModel } from '../src/model/load.ts'
import { pendingParts } from '../src/model/safetensors-write.ts'
import { namedWeights } from '../src/model/weights.ts'
import { train } from '../src/recipe/train.ts'
import { makeSite, runToEnd, settingsFor, testWorld } from './run.ts'
import { isSlow } from './slow.ts'

const site = makeSite(8)
afterAll(() => rmSync(site.folder, { recursive: true }))
const world = testWorld(site)
const short = { num_train_epochs: 1, gradient_accumulation_steps: 1 }

function losses(events: readonly RunEvent[]): number[] {
  return events.flatMap((event) => (event.type === 'update-end' ? [event.metrics['loss']] : []))
}

function factors(output = ''): number[] {
  const adapter = loadAdapter(output, loadConfig(site.model).config)
  return [...namedFactors(adapter).values()].flatMap(({ data }) => [...data])
}

test.skipIf(!isSlow)(
  'an adapter learns on a model in 4 bits: from ln 2, otherwise than on the whole one, and resumed bit for bit',
  async () => {
    const whole = await runToEnd(settingsFor(site, 'whole', short), world)
    const rounded = settingsFor(site, 'rounded', { ...short, load_in_4bit: true })
    const events = await runToEnd(rounded, world)
    expect(Math.abs(losses(events)[0] - Math.LN2)).toBeLessThan(1e-6)
    expect(losses(events).slice(1)).not.toEqual(losses(whole).slice(1))
    const parts = settingsFor(site, 'parts', { ...short, load_in_4bit: true, save_steps: 1 })
    const stopping = new AbortController()
    for await (const event of train(parts, testWorld(site, stopping.signal))) {
      if (event.type === 'update-end' && event.update === 1) stopping.abort()
    }
    await runToEnd({ ...parts, resume_from_checkpoint: true }, world)
    expect(factors(parts.output_dir)).toEqual(factors(rounded.output_dir))
  },
)

test.skipIf(!isSlow)(
  'what the reference said of a rounded model is not taken for what it says of the whole one',
  async () => {
    const first = await runToEnd(settingsFor(site, 'after-whole', { load_in_8bit: true }), world)
    const alone = testWorld({ ...site, folder: join(site.folder, 'elsewhere') })
    const second = await runToEnd(settingsFor(site, 'alone', { load_in_8bit: true }), alone)
    expect(losses(first)).toEqual(losses(second))
  },
)

test.skipIf(!isSlow)('a checkpoint in bfloat16 trains like the same numbers in float32, bit for bit', async () => {
  const { weights } = loadModel(site.model)
  const write = (name: string, isHalf: boolean): string => {
    const folder = join(site.folder, name)
    cpSync(site.model, folder, { recursive: true })
    const tensors = [...namedWeights(weights)].map(([key, { data, shape }]) => {
      const bits = toBfloat16(data)
      const numbers = isHalf ? bits : fromBfloat16(bits)
      const bytes = () => new Uint8Array(numbers.buffer)
      return [key, { dtype: isHalf ? 'BF16' : 'F32', shape, byteLength: numbers.byteLength, bytes }] as const
    })
    writeDurably(join(folder, 'model.safetensors'), pendingParts(new Map(tensors), new Map()))
    return folder
  }
  const run = async (name: string, isHalf: boolean): Promise<number[]> => {
    const settings = settingsFor(site, `run-${name}`, { base_model: write(name, isHalf) })
    await runToEnd(settings, world)
    return factors(settings.output_dir)
  }
  expect(await run('half', true)).toEqual(await run('single', false))
})

test('weights that learn cannot be rounded, and only one rounding is meant', async () => {
  const refused = (more: object) => expect(runToEnd(settingsFor(site, 'refused', more), world)).rejects
  await refused({ load_in_4bit: true, use_lora: false }).toThrow('use_lora')
  await refused({ load_in_4bit: true, load_in_8bit: true }).toThrow('exclude')
})
