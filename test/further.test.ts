/** Training an adapter further: what it computes is its own, whatever LoRA's settings usually are, and a run says so. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parseSettings } from '../src/cli/parse-settings.ts'
import type { RunEvent } from '../src/index.ts'
import { loadAdapter, saveAdapter } from '../src/model/adapter-file.ts'
import { loadConfig } from '../src/model/load.ts'
import { createAdapter, type LoraSettings } from '../src/model/lora.ts'
import { type TrainInput, trainSchema } from '../src/recipe/config.ts'
import { estimate } from '../src/recipe/estimate.ts'
import { settleLora } from '../src/recipe/settle-lora.ts'
import { sweep } from '../src/recipe/sweep.ts'
import { train } from '../src/recipe/train.ts'
import { trainOnAny } from '../src/recipe/train-any.ts'
import { makeSite, outcome, runToEnd, settingsFor, testWorld } from './run.ts'
import { isSlow } from './slow.ts'

const site = makeSite()
afterAll(() => rmSync(site.folder, { recursive: true }))
const world = testWorld(site)
const { config } = loadConfig(site.model)

const own: LoraSettings = { rank: 3, alpha: 5, dropout: 0.05, rslora: true, targets: ['q_proj', 'v_proj'] }
const adapter = join(site.folder, 'sft')
mkdirSync(adapter)
saveAdapter(adapter, createAdapter(config, own, 1), site.model)

/** Settings of a run that goes on from the adapter. Nothing is said of LoRA but what is given. */
function further(name: string, more: Partial<TrainInput> = {}): TrainInput {
  const { lora_r: _, lora_dropout: __, ...plain } = settingsFor(site, name)
  return { ...plain, adapter, max_steps: 4, save_steps: 2, eval_strategy: 'no', ...more }
}

const textOf = (...path: string[]): string => readFileSync(join(site.folder, ...path), 'utf8')

describe('a run that goes on from an adapter', async () => {
  const events = await runToEnd(further('plain'), world)

  test('says in every file what the adapter is, and where it began', () => {
    expect(events[0]).toMatchObject({ type: 'run-begin', adapter: 'LoRA r3' })
    const settled = {
      lora_r: 3,
      lora_alpha: 5,
      lora_dropout: 0.05,
      use_rslora: true,
      lora_target_modules: ['q_proj', 'v_proj'],
    }
    expect(JSON.parse(textOf('plain', 'training_args.json'))).toMatchObject({ ...settled, adapter })
    const yaml = { path: 'resolved', text: textOf('plain', 'stepdpo', 'config.resolved.yaml') }
    expect(parseSettings(trainSchema, [], yaml)).toMatchObject({ ...settled, adapter })
    const card = textOf('plain', 'README.md')
    expect(card).toContain('model with the adapter sft after 4 more updates of Step-DPO')
    for (const [name, value] of Object.entries(settled)) expect(card).toContain(`| ${name} | ${value} |`)
    expect(loadAdapter(join(site.folder, 'plain'), config).settings).toEqual(own)
  })

  test('takes settings that are equal, by whatever names the modules go', async () => {
    const modules = ['self_attn.v_proj', ...[0, 1, 2].map((layer) => `model.layers.${layer}.self_attn.q_proj`)]
    const equal = { lora_r: 3, lora_alpha: 5, use_rslora: true, lora_target_modules: modules }
    await runToEnd(further('equal', equal), world)
    expect(outcome(join(site.folder, 'equal'))).toEqual(outcome(join(site.folder, 'plain')))
  })

  test('trains with a dropout that is given instead of the stored one, and stores that', async () => {
    await runToEnd(further('dropout', { lora_dropout: 0.5 }), world)
    expect(outcome(join(site.folder, 'dropout'))).not.toEqual(outcome(join(site.folder, 'plain')))
    expect(loadAdapter(join(site.folder, 'dropout'), config).settings).toEqual({ ...own, dropout: 0.5 })
    expect(textOf('dropout', 'README.md')).toContain('| lora_dropout | 0.5 |')
  })

  test.each(['the same command', 'its own file of settings'])('is resumed by %s, bit for bit', async (how) => {
    const name = how.replaceAll(' ', '-')
    const controller = new AbortController()
    const seen: RunEvent[] = []
    for await (const event of train(further(name), testWorld(site, controller.signal))) {
      seen.push(event)
      if (event.type === 'update-end' && event.update === 3) controller.abort()
    }
    expect(seen.at(-1)).toMatchObject({ type: 'run-interrupted', update: 3 })
    const yaml = { path: 'resolved', text: textOf(name, 'stepdpo', 'config.resolved.yaml') }
    const again = how === 'the same command' ? further(name) : parseSettings(trainSchema, [], yaml)
    const rest = await runToEnd({ ...again, resume_from_checkpoint: true }, world)
    expect(rest[1]).toMatchObject({ type: 'run-resumed', update: 3 })
    const [found, expected] = [outcome(join(site.folder, name)), outcome(join(site.folder, 'plain'))]
    for (const file of ['adapter_model.safetensors', 'checkpoint-4/optimizer.safetensors']) {
      expect(found.get(file) === expected.get(file), file).toBe(true)
    }
  })

  test.each<[Partial<TrainInput>, RegExp]>([
    [{ lora_r: 16 }, /--lora_r 16: the adapter .*sft has 3, .*: leave --lora_r out/],
    [{ lora_alpha: 32 }, /--lora_alpha 32: the adapter .*sft has 5/],
    [{ use_rslora: false }, /--use_rslora false: the adapter .*sft has true/],
    [{ lora_target_modules: 'all-linear' }, /--lora_target_modules all-linear: the adapter .*sft has q_proj,v_proj/],
    [{ lora_target_modules: ['q_proj'] }, /--lora_target_modules q_proj: the adapter .*sft has q_proj,v_proj/],
    [{ engine: 'torch', torch_python: 'none', lora_r: 8 }, /--lora_r 8: the adapter .*sft has 3/],
  ])('refuses %j before it touches a folder', async (more, says) => {
    const before = outcome(join(site.folder, 'plain'))
    await expect(runToEnd(further('plain', { overwrite_output_dir: true, ...more }), world)).rejects.toThrow(says)
    expect(outcome(join(site.folder, 'plain'))).toEqual(before)
  })

  test('refuses a contradiction before anything is sampled', async () => {
    const asks = join(site.folder, 'asks.jsonl')
    writeFileSync(asks, '{"prompt": "3 + 4?", "answer": "7"}\n')
    const input = further('asked', { dataset_path: asks, reward_model: 'arithmetic', lora_r: 16 })
    const events = trainOnAny(input, world, () => Promise.resolve(true))
    await expect(events.next()).rejects.toThrow(/--lora_r 16: the adapter/)
  })
})

test('what was given is told from what was not, in flags and in YAML', () => {
  const args = ['--base_model', site.model, '--dataset_path', site.data, '--adapter', adapter]
  expect(settleLora(parseSettings(trainSchema, args))).toMatchObject({ lora_r: 3, lora_alpha: 5 })
  expect(() => settleLora(parseSettings(trainSchema, [...args, '--lora_r', '16']))).toThrow('--lora_r 16')
  const yaml = { path: 'run.yaml', text: 'lora_alpha: 32\n' }
  expect(() => settleLora(parseSettings(trainSchema, args, yaml))).toThrow('--lora_alpha 32')
  const fresh = parseSettings(trainSchema, args.slice(0, 4))
  expect(settleLora(fresh)).toMatchObject({
    lora_r: 16,
    lora_alpha: 32,
    lora_dropout: 0,
    lora_target_modules: 'all-linear',
    use_rslora: false,
  })
})

test('a sweep over what the adapter fixes is refused, and over dropout it is not', async () => {
  const input = (grid: Record<string, readonly unknown[]>) => ({
    ...further('swept'),
    resume_from_checkpoint: true,
    sweep: grid,
    dry_run: true,
  })
  const ranks = sweep(input({ lora_r: [3, 8] }), world)
  await expect(ranks.next()).rejects.toThrow(
    /--sweep: the point rank 8 cannot be trained: --lora_r 8: the adapter .* has 3/,
  )
  const seen: string[] = []
  for await (const event of sweep(input({ lora_dropout: [0, 0.2] }), world)) seen.push(event.type)
  expect(seen.at(-1)).toBe('sweep-begin')
  expect(existsSync(join(site.folder, 'swept'))).toBe(false)
})

test.runIf(isSlow)('an estimate counts what the adapter has', async () => {
  const { trained } = await estimate(trainSchema.parse(further('none')))
  // Rank 3 in three layers: queries 64 → 64, values 64 → 32.
  expect(trained).toBe(3 * 3 * (64 + 64 + 64 + 32))
})
