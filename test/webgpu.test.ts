/**
 * Whole updates on devices against the processor: on WebGPU where there is an adapter (a graphics card, or SwiftShader,
 * which Debian's chromium brings), and on the processor taken for a device, everywhere.
 */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EncodedGroup } from '../src/batch/encode.ts'
import type { RunEvent } from '../src/data/events.ts'
import { type Backend, makeGraph } from '../src/engine/backend.ts'
import type { Device, DeviceTensors } from '../src/engine/device.ts'
import { input, place } from '../src/engine/ops.ts'
import { ortDevice, type Provider, withDevice } from '../src/engine/ort-device.ts'
import { ortBackend } from '../src/engine/session.ts'
import { type Decoder, decodeGreedily, openDecoder } from '../src/model/decode.ts'
import { adapterLearner } from '../src/model/learner.ts'
import { loadModel } from '../src/model/load.ts'
import { createAdapter, type LoraSettings } from '../src/model/lora.ts'
import { defaultCuts, makeMachine } from '../src/model/machine.ts'
import { backwardRow, forwardRow, logitsOf, scoreRow, weightLayers } from '../src/model/pass.ts'
import { sequenceRow } from '../src/model/row.ts'
import type { TrainInput } from '../src/recipe/config.ts'
import { deviceProblem, openBackend } from '../src/recipe/device.ts'
import { zeroMoments } from '../src/train/adamw.ts'
import { openReferenceCache } from '../src/train/reference.ts'
import { accumulateGradient, applyGradient, type PackedObjective } from '../src/train/update.ts'
import { oraclePath, relativeError } from './oracle.ts'
import { packedFor } from './packed.ts'
import { plainObjective } from './plain-objective.ts'
import { makeSite, runToEnd, settingsFor, testWorld } from './run.ts'
import { isSlow } from './slow.ts'
import { watched } from './watched-device.ts'

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-webgpu-'))
const driversBefore = process.env['VK_ICD_FILENAMES']
afterAll(() => {
  if (driversBefore === undefined) delete process.env['VK_ICD_FILENAMES']
  else process.env['VK_ICD_FILENAMES'] = driversBefore
  rmSync(folder, { recursive: true })
})

/** Makes Vulkan find SwiftShader, where there is no other driver. */
async function findAdapter(): Promise<string | undefined> {
  const problem = await deviceProblem('webgpu')
  const library = '/usr/lib/chromium/libvk_swiftshader.so'
  if (problem === undefined || !existsSync(library)) return problem
  const driver = join(folder, 'swiftshader.json')
  const ICD = { library_path: library, api_version: '1.1.0' }
  writeFileSync(driver, JSON.stringify({ file_format_version: '1.0.0', ICD }))
  process.env['VK_ICD_FILENAMES'] = driver
  return deviceProblem('webgpu')
}

/** Shaders are compiled for the processor there: for the slow stage. */
const noAdapter = isSlow ? await findAdapter() : 'the slow stage runs them'
if (isSlow && noAdapter !== undefined) console.log(`tests on WebGPU are skipped: ${noAdapter}`)

const groups: EncodedGroup[] = [0, 1, 2].map((at) => ({
  problem: String(at),
  prefix: [
    [5 + at, 9, 12],
    [7, 30 + at],
  ],
  members: [
    [31, 8, 2],
    [40, 41 + at, 2],
    [40, 11, 13, 2],
  ],
  pairs: [
    { chosen: 0, rejected: 1, weight: 1 },
    { chosen: 0, rejected: 2, weight: 1 },
  ],
}))

const lora: LoraSettings = { rank: 4, alpha: 8, dropout: 0.1, rslora: false, targets: 'all-linear' }
const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, maxGradNorm: 1 }
const keepings = ['products', 'inputs'] as const

/** A divergence beside the losses of pairs: the reference's distributions too. Rows are small, so there are several. */
const objective: PackedObjective = {
  ...plainObjective,
  terms: [
    { type: 'sigmoid', weight: 1 },
    { type: 'tdpo2', weight: 0.5 },
  ],
  packing: { packing: 'tree', maxRowTokens: 32 },
}

/** Two updates from the same beginning: losses, gradients and what was learned. */
async function updates(backend: Backend, model: string, keeping: (typeof keepings)[number]) {
  const { config, weights } = loadModel(oraclePath(`models/${model}`))
  const machine = makeMachine(backend, config, weights, { ...defaultCuts, chunkTokens: 5, headTokens: 4 })
  const adapter = createAdapter(config, lora, 3)
  const learner = adapterLearner(machine, adapter, 1)
  // As after some training: with B of zeros, half of the gradients are zero.
  for (const { name, values } of learner.parameters) {
    if (name.includes('lora_B'))
      values.forEach((_, at) => {
        values[at] = 0.05 * Math.sin(1.7 * at)
      })
  }
  const cache = openReferenceCache(join(folder, String(Math.random())), undefined)
  const policy = { machine, learner, reference: machine, cache, keeping }
  const moments = new Map(learner.parameters.map(({ name, values }) => [name, zeroMoments(values.length)]))
  const found: Record<string, ArrayLike<number>> = {}
  for (const update of [0, 1]) {
    const batches = [groups.slice(0, 2), groups.slice(2)]
    const { metrics, norm } = await accumulateGradient(policy, objective, packedFor(objective, batches), {
      label: `u${update}`,
    })
    for (const name of ['loss', 'grad_norm', 'entropy']) found[`${name} ${update}`] = [metrics[name]]
    // A difference of log-probabilities is as exact as these are.
    found[`margins ${update}`] = [metrics['rewards/margins'], metrics['logps/chosen']]
    for (const { name, gradient } of learner.parameters) found[`d ${name} ${update}`] = gradient.slice()
    applyGradient(learner, moments, adam, { norm, time: update + 1, rate: 1e-4 })
  }
  for (const { name, values } of learner.parameters) found[name] = values
  cache.close()
  await machine.dispose()
  return found
}

/** What differs by a thousandth of its largest magnitude, or more. */
function different(found: Record<string, ArrayLike<number>>, expected: Record<string, ArrayLike<number>>) {
  expect(Object.keys(found)).toEqual(Object.keys(expected))
  const errors = Object.entries(expected).map(([name, numbers]) => [name, relativeError(found[name], numbers)] as const)
  return errors.filter(([, error]) => !(error < 1e-3))
}

const cpu = ortBackend({ threads: 1 })

/** A device that counts the tensors which lie on it for its callers. */
function counted(device: Device): { readonly device: Device; count(): number } {
  let count = 0
  const follow = (tensors: DeviceTensors): DeviceTensors =>
    Object.fromEntries(
      Object.entries(tensors).map(([name, tensor]) => {
        count++
        const free = () => {
          count--
          tensor.free()
        }
        return [name, { ...tensor, free }]
      }),
    )
  return {
    device: {
      ...device,
      put: async (tensor) => follow({ tensor: await device.put(tensor) })['tensor'],
      run: async (graph, feeds, into) => follow(await device.run(graph, feeds, into)),
    },
    count: () => count,
  }
}

async function compareUpdates(own: Device, model: string, keeping: (typeof keepings)[number]): Promise<void> {
  const { device, count } = counted(own)
  const found = await updates(withDevice(cpu, device), model, keeping)
  const expected = await updates(cpu, model, keeping)
  expect(different(found, expected)).toEqual([])
  expect(count()).toBe(0) // all was freed
  expect(Math.abs(found['loss 0'][0] - found['loss 1'][0])).toBeGreaterThan(1e-6)
}

async function expectNothingLeft(provider: Provider): Promise<void> {
  const { config, weights } = loadModel(oraclePath('models/llama'))
  const { device, count } = counted(ortDevice(provider))
  const machine = makeMachine(withDevice(cpu, device), config, weights)
  const learner = adapterLearner(machine, createAdapter(config, { ...lora, dropout: 0 }, 3))
  const row = sequenceRow([5, 9, 12, 7, 30, 31])
  await scoreRow(machine, row, weightLayers(machine))
  expect(count()).toBe(0)
  for (const keeping of keepings) {
    const policy = { machine, learner, reference: machine, cache: undefined, keeping }
    await accumulateGradient(policy, objective, packedFor(objective, [groups]), { label: '' })
    expect(count()).toBe(0)
    const pass = await forwardRow(machine, row, learner.layers(''), keeping)
    expect(pass.states).toEqual([])
    expect(pass.onDevice?.states).toHaveLength(config.layers)
    expect(count()).toBeGreaterThan(config.layers)
    await backwardRow(machine, pass, new Float32Array(row.scored.length), learner.gradients)
    expect(count()).toBe(0)
  }
  await machine.dispose()
}

describe('the processor taken for a device', () => {
  test('whole updates are those of the processor', () => compareUpdates(ortDevice('cpu', true), 'llama', 'products'))

  test('so they are where every output comes back, and the layers are one graph', () =>
    compareUpdates(ortDevice('cpu', false), 'llama', 'products'))

  test
    .runIf(isSlow)
    .each(
      ['gemma3_text', 'phi', 'phi3', 'qwen2-bf16', 'qwen3', 'smollm3', 'mistral-fp16'].flatMap((model) => [
        [model, true, 'inputs'] as const,
        [model, false, 'inputs'] as const,
        [model, false, 'products'] as const,
      ]),
    )('whole updates of %s; layer by layer: %s; keeping %s', (model, keepsOutputs, keeping) =>
    compareUpdates(ortDevice('cpu', keepsOutputs), model, keeping),
  )

  test('logits, and those of several rows, are those of the processor where the layers are one graph', async () => {
    const { config, weights } = loadModel(oraclePath('models/qwen3'))
    const [machine, host] = [withDevice(cpu, ortDevice('cpu', false)), cpu].map((backend) =>
      makeMachine(backend, config, weights),
    )
    for (const ids of [[5, 9, 12, 7, 30], [3], [8, 8, 8]]) {
      const found = await logitsOf(machine, sequenceRow(ids), weightLayers(machine))
      const expected = await logitsOf(host, sequenceRow(ids), weightLayers(host))
      expect(relativeError(found.data, expected.data)).toBeLessThan(1e-4)
    }
    for (const one of [machine, host]) await one.dispose()
  })

  test('where the layers are one graph, what lies between them does not cross', async () => {
    const { config, weights } = loadModel(oraclePath('models/llama'))
    const own = ortDevice('cpu', false)
    const outputs: string[][] = []
    const { device, crossed } = watched({
      ...own,
      run: (graph, feeds, into) => {
        outputs.push([...graph.outputs.keys()])
        return own.run(graph, feeds, into)
      },
    })
    const machine = makeMachine(withDevice(cpu, device), config, weights)
    const learner = adapterLearner(machine, createAdapter(config, { ...lora, dropout: 0 }, 3))
    const row = sequenceRow([5, 9, 12, 7, 30, 31])
    const pass = await forwardRow(machine, row, learner.layers(''), 'products')
    await backwardRow(machine, pass, new Float32Array(row.scored.length).fill(1), learner.gradients)
    const states = row.ids.length * config.hiddenSize
    const factors = learner.parameters.reduce((sum, { values }) => sum + values.length, 0)
    const views = row.ids.length ** 2 + row.ids.length * config.headSize
    const zeros = row.ids.length * config.keyValueHeads * config.headSize
    expect(crossed.map(({ up }) => up)[0]).toBe(states + views + factors)
    expect(crossed[0].down).toBe(states)
    expect(crossed.at(-1)).toEqual({ up: 2 * states + views + 2 * factors + zeros, down: states + factors })
    expect(crossed).toHaveLength(3)
    // The last output is computed first: that of the layer where the way back begins.
    const [first, ...totals] = outputs.at(-1) ?? []
    const layers = totals.map((name) => Number(/^layer (\d+) d /.exec(name)?.[1]))
    expect([first, layers.at(-1)]).toEqual(['d embedded', config.layers - 1])
    expect(layers).toEqual(layers.toSorted((a, b) => a - b))
    await machine.dispose()
  })

  test.runIf(isSlow)('what a pass leaves there is freed when it has gone back', () => expectNothingLeft('cpu'))
})

describe.skipIf(noAdapter !== undefined)('WebGPU', () => {
  // While one session is open, shaders that were compiled for another are not compiled again.
  const device = ortDevice('webgpu')
  beforeAll(async () => {
    await device.put({ data: Float32Array.of(0), shape: [1] })
  })
  afterAll(() => device.dispose())

  test.each([
    ['llama', 'inputs'],
    ['gemma3_text', 'products'],
    ['mistral-fp16', 'inputs'],
    ['phi', 'products'],
    ['phi3', 'inputs'],
    ['qwen2-bf16', 'products'],
    ['qwen3', 'inputs'],
    ['smollm3', 'products'],
  ] as const)('whole updates of %s, keeping %s', (model, keeping) =>
    compareUpdates(ortDevice('webgpu'), model, keeping),
  )

  test('logits are those of the processor; decoding beside them stays there and gives the same tokens', async () => {
    const { config, weights } = loadModel(oraclePath('models/qwen3'))
    const [machine, host] = [withDevice(cpu, ortDevice('webgpu')), cpu].map((backend) =>
      makeMachine(backend, config, weights),
    )
    const ids = [5, 9, 12, 7, 30]
    const [found, expected] = [
      await logitsOf(machine, sequenceRow(ids), weightLayers(machine)),
      await logitsOf(host, sequenceRow(ids), weightLayers(host)),
    ]
    expect(relativeError(found.data, expected.data)).toBeLessThan(1e-4)
    const [decoder, other] = [await openDecoder(machine), await openDecoder(host)]
    const options = { maxNewTokens: 5, endIds: [] }
    const decoded = async (by: Decoder): Promise<number[]> => {
      const tokens: number[] = []
      for await (const id of decodeGreedily(by, ids, options)) tokens.push(id)
      return tokens
    }
    expect(await decoded(decoder)).toEqual(await decoded(other))
    for (const one of [decoder, other, machine, host]) await one.dispose()
  })

  test('tensors lie in its memory, and what a pass leaves there is freed', async () => {
    const device = ortDevice('webgpu')
    const tensor = await device.put({ data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] })
    expect(tensor.onDevice.location).toBe('gpu-buffer')
    tensor.free()
    await device.dispose()
    await expectNothingLeft('webgpu')
  })

  test('a run trains on it as on the processor, and says so; it goes on elsewhere with a warning', async () => {
    const site = makeSite(4)
    const one = { per_device_train_batch_size: 1, gradient_accumulation_steps: 1, save_steps: 1 }
    const short: Partial<TrainInput> = { ...one, max_steps: 1, eval_strategy: 'no', lora_target_modules: ['q_proj'] }
    const settingsOf = (name: string, more: Partial<TrainInput>): TrainInput =>
      settingsFor(site, name, { ...short, ...more })
    const [found, expected] = [
      await runToEnd(settingsOf('webgpu', { device: 'webgpu' }), testWorld(site)),
      await runToEnd(settingsOf('cpu', { gradient_checkpointing: true }), testWorld(site)),
    ]
    const lossesOf = (events: readonly RunEvent[]): number[] =>
      events.flatMap((event) => (event.type === 'update-end' ? [event.metrics['loss']] : []))
    expect(found.find(({ type }) => type === 'run-begin')).toMatchObject({ device: 'webgpu' })
    expect(relativeError(lossesOf(found), lossesOf(expected))).toBeLessThan(1e-3)
    const further = { resume_from_checkpoint: true, max_steps: 2, resume_changed: true } as const
    const stayed = await runToEnd(settingsOf('webgpu', further), testWorld(site))
    expect(stayed.find(({ type }) => type === 'run-begin')).toMatchObject({ device: 'webgpu' })
    expect(stayed.filter(({ type }) => type === 'warning')).toEqual([])
    const moved = await runToEnd(settingsOf('webgpu', { ...further, device: 'cpu', max_steps: 3 }), testWorld(site))
    expect(moved.find(({ type }) => type === 'warning')).toMatchObject({
      message: expect.stringContaining('was on webgpu and goes on on cpu'),
    })
    expect(lossesOf(moved)).toHaveLength(1)
    rmSync(site.folder, { recursive: true })
  })

  test('an operator that it lacks is refused, not computed elsewhere', async () => {
    const device = ortDevice('webgpu')
    const graph = makeGraph({ total: place(input('x', ['S', 1]), input('at', ['S'], 'int'), 3) })
    const feeds = { x: { data: Float32Array.of(1), shape: [1, 1] }, at: { data: Int32Array.of(0), shape: [1] } }
    await expect(device.run(graph, feeds)).rejects.toThrow(/^webgpu cannot compute total .*Use --device cpu$/)
    await device.dispose()
  })
})

test('CUDA computes in whole float32, unless the user wants otherwise', () => {
  const before = process.env['NVIDIA_TF32_OVERRIDE']
  try {
    for (const [set, expected] of [
      [undefined, '0'],
      ['1', '1'],
    ] as const) {
      delete process.env['NVIDIA_TF32_OVERRIDE']
      if (set !== undefined) process.env['NVIDIA_TF32_OVERRIDE'] = set
      ortDevice('cuda')
      expect(process.env['NVIDIA_TF32_OVERRIDE']).toBe(expected)
    }
  } finally {
    if (before === undefined) delete process.env['NVIDIA_TF32_OVERRIDE']
    else process.env['NVIDIA_TF32_OVERRIDE'] = before
  }
})

test('a device that is not there is an error that says how to get it', async () => {
  const drivers = process.env['VK_ICD_FILENAMES']
  process.env['VK_ICD_FILENAMES'] = join(folder, 'none.json')
  const [webgpu, cuda] = await Promise.allSettled([openBackend({ device: 'webgpu' }), openBackend({ device: 'cuda' })])
  if (drivers === undefined) delete process.env['VK_ICD_FILENAMES']
  else process.env['VK_ICD_FILENAMES'] = drivers
  if (process.platform === 'linux')
    expect(webgpu).toMatchObject({ reason: { message: expect.stringMatching(/Vulkan/) } })
  const isThere = (await deviceProblem('cuda')) === undefined
  if (!isThere) expect(cuda).toMatchObject({ reason: { message: expect.stringMatching(/--install_cuda/) } })
})
