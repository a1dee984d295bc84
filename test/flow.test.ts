/** Whole training runs on a tiny model: what they leave, and that nothing that should not matter does. */
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { makeTinyRow } from '../scripts/tiny-data.ts'
import { type RunEvent, StepwiseDPOTrainer, UserError } from '../src/index.ts'
import { loadAdapter, namedFactors } from '../src/model/adapter-file.ts'
import { loadConfig, loadModel } from '../src/model/load.ts'
import { train } from '../src/recipe/train.ts'
import { damageOf, listCheckpoints } from '../src/train/checkpoint.ts'
import { relativeError } from './oracle.ts'
import { makeSite, outcome, runToEnd, settingsFor, testWorld } from './run.ts'
import { isSlow } from './slow.ts'

const site = makeSite()
afterAll(() => rmSync(site.folder, { recursive: true }))
const world = testWorld(site)

const ofType = <T extends RunEvent['type']>(events: readonly RunEvent[], type: T) =>
  events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type)

const losses = (events: readonly RunEvent[]) => ofType(events, 'update-end').map(({ metrics }) => metrics['loss'])

/** The factors of a run's adapter, one after another. */
function factors(output: string): number[] {
  const adapter = loadAdapter(output, loadConfig(site.model).config)
  return [...namedFactors(adapter).values()].flatMap(({ data }) => [...data])
}

describe('a run', async () => {
  const settings = settingsFor(site, 'calm')
  const events = await runToEnd(settings, world)
  const output = settings.output_dir ?? ''

  test('tells what happens from beginning to end, updates in order', () => {
    expect(events[0]).toMatchObject({ type: 'run-begin', adapter: 'LoRA r4', device: 'cpu(1)' })
    const updates = ofType(events, 'update-end')
    expect(updates.map(({ update }) => update)).toEqual(updates.map((_, at) => at + 1))
    expect(updates.length).toBe(updates[0].updates)
    expect(updates.at(-1)?.epoch).toBe(2)
    expect(events.at(-1)).toMatchObject({ type: 'run-end', update: updates.length })
  })

  test('begins at ln 2, because a fresh adapter is the reference', () => {
    expect(Math.abs(losses(events)[0] - Math.LN2)).toBeLessThan(1e-6)
  })

  test('evaluates when due and at the end, with intervals around the accuracy', () => {
    const evaluations = ofType(events, 'evaluation-end')
    const last = ofType(events, 'update-end').length
    const due = Array.from({ length: last }, (_, at) => at + 1).filter((update) => update % 3 === 0 || update === last)
    expect(evaluations.map(({ update }) => update)).toEqual(due)
    for (const { metrics } of evaluations) {
      expect(metrics['eval_rewards/accuracies_low']).toBeLessThanOrEqual(metrics['eval_rewards/accuracies'])
      expect(metrics['eval_rewards/accuracies_high']).toBeGreaterThanOrEqual(metrics['eval_rewards/accuracies'])
      expect(Object.values(metrics).every(Number.isFinite)).toBe(true)
    }
  })

  test('has the metrics of TRL under their names', () => {
    const [{ metrics }] = ofType(events, 'update-end')
    for (const name of ['loss', 'grad_norm', 'learning_rate', 'entropy', 'num_tokens', 'mean_token_accuracy']) {
      expect(metrics).toHaveProperty([name])
    }
    for (const name of [
      'rewards/chosen',
      'rewards/rejected',
      'rewards/accuracies',
      'rewards/margins',
      'logps/chosen',
    ]) {
      expect(metrics).toHaveProperty([name])
    }
  })

  test('leaves the files that PEFT, Trainer and people look for', () => {
    const names = [
      'adapter_model.safetensors',
      'adapter_config.json',
      'README.md',
      'tokenizer.json',
      'tokenizer_config.json',
      'trainer_state.json',
      'training_args.json',
      'train_results.json',
      'eval_results.json',
      'all_results.json',
      'stepdpo/config.resolved.yaml',
      'stepdpo/env.json',
      'stepdpo/metrics.jsonl',
      'stepdpo/events.jsonl',
    ]
    expect(names.filter((name) => !existsSync(join(output, name)))).toEqual([])
    expect(existsSync(join(output, 'run.lock'))).toBe(false)
  })

  test('keeps the checkpoints it was told to, each as its manifest says', () => {
    const checkpoints = listCheckpoints(output)
    expect(checkpoints.length).toBeLessThanOrEqual(3) // two, and the best
    expect(checkpoints.map(damageOf)).toEqual(checkpoints.map(() => undefined))
    expect(checkpoints[0].update).toBe(ofType(events, 'update-end').length)
  })

  test('is repeated bit for bit by the same settings, also with a cache that knows every reference', async () => {
    await runToEnd(settingsFor(site, 'again'), world)
    expect(outcome(join(site.folder, 'again'))).toEqual(outcome(output))
  })

  test('is repeated bit for bit when it is resumed after any update', async () => {
    const updates = ofType(events, 'update-end').length
    const stops = Array.from({ length: updates - 1 }, (_, at) => at + 1)
    // Around the end of the first epoch here, after each update in the slow stage.
    for (const stop of isSlow ? stops : [Math.ceil(updates / 2)]) {
      const resumed = settingsFor(site, `stopped-${stop}`, { resume_from_checkpoint: true })
      const controller = new AbortController()
      const first = testWorld(site, controller.signal)
      const seen: RunEvent[] = []
      // The cache of other runs must not be needed either.
      const alone = { ...first, environment: { STEPDPO_CACHE: join(site.folder, `cache-${stop}`) } }
      const { train } = await import('../src/index.ts')
      for await (const event of train(resumed, alone)) {
        seen.push(event)
        if (event.type === 'update-end' && event.update === stop) controller.abort()
      }
      expect(seen.at(-1)).toMatchObject({ type: 'run-interrupted', update: stop })
      const rest = await runToEnd(resumed, { ...alone, signal: new AbortController().signal })
      expect(rest[1]).toMatchObject({ type: 'run-resumed', update: stop })
      expect(losses([...seen, ...rest])).toEqual(losses(events))
      const [found, expected] = [outcome(join(site.folder, `stopped-${stop}`)), outcome(output)]
      for (const name of [
        'adapter_model.safetensors',
        'stepdpo/metrics.jsonl',
        `checkpoint-${updates}/optimizer.safetensors`,
      ]) {
        expect(found.get(name) === expected.get(name), `${name} after a stop at ${stop}`).toBe(true)
      }
    }
  })
})

describe('what should not matter', () => {
  const plain = { lora_dropout: 0, eval_strategy: 'no', max_steps: 4, save_strategy: 'no' } as const

  type More = Parameters<typeof settingsFor>[2]

  /** Runs by their settings: several are compared with the same one. */
  const known = new Map<string, Promise<readonly RunEvent[]>>()

  async function resultOf(more: More) {
    const name = `plain${JSON.stringify(more).replace(/\W+/g, '-')}`
    const run = known.get(name) ?? runToEnd(settingsFor(site, name, { ...plain, ...more }), world)
    known.set(name, run)
    return { losses: losses(await run), factors: factors(join(site.folder, name)) }
  }

  /** The losses and the final factors of two runs, compared. */
  async function difference(a: More, b: More) {
    const [first, second] = [await resultOf(a), await resultOf(b)]
    return {
      loss: relativeError(second.losses, first.losses),
      factors: relativeError(second.factors, first.factors),
    }
  }

  const cases = [
    [
      'batch 1 × accumulation 4 and batch 4 × 1',
      { per_device_train_batch_size: 1, gradient_accumulation_steps: 4 },
      { per_device_train_batch_size: 4, gradient_accumulation_steps: 1 },
    ],
    ['trees and plain pairs', {}, { pack: 'none' }],
    ['long and short rows', {}, { max_row_tokens: 1200 }],
    ['saved and recomputed activations', { gradient_checkpointing: false }, { gradient_checkpointing: true }],
    ['a live and a precomputed reference', {}, { precompute_ref_log_probs: true }],
    ['one thread and two', {}, { threads: 2 }],
  ] as const
  test.each(cases)('%s give the same losses and weights to 1e-4', async (_, a, b) => {
    const { loss, factors: weights } = await difference(a, b)
    expect(loss).toBeLessThan(1e-5)
    expect(weights).toBeLessThan(1e-3) // Adam turns the sign of tiny gradients into whole steps
  })
})

describe('starting from something', () => {
  test('an adapter folder is gone on from, against the base model as reference', async () => {
    const short = { max_steps: 2, eval_strategy: 'no', lora_dropout: 0 } as const
    await runToEnd(settingsFor(site, 'first', short), world)
    const events = await runToEnd(settingsFor(site, 'second', { ...short, adapter: join(site.folder, 'first') }), world)
    expect(Math.abs(losses(events)[0] - Math.LN2)).toBeGreaterThan(1e-6)
  })

  test('all weights learn with use_lora false, and the folder is a whole model', async () => {
    const settings = settingsFor(site, 'full', {
      use_lora: false,
      max_steps: 3,
      eval_strategy: 'no',
      learning_rate: 1e-3,
    })
    const events = await runToEnd(settings, world)
    expect(Math.abs(losses(events)[0] - Math.LN2)).toBeLessThan(1e-6)
    const [before, after] = [loadModel(site.model), loadModel(join(site.folder, 'full'))]
    expect(after.config).toEqual(before.config)
    const changed = Object.entries(after.weights.layers[0]).filter(([name, { data }]) => {
      return relativeError(data, before.weights.layers[0][name].data) > 0
    })
    expect(changed.map(([name]) => name).sort()).toEqual(Object.keys(before.weights.layers[0]).sort())
  })
})

describe('what goes wrong', () => {
  const quick = { max_steps: 2, eval_strategy: 'no', save_steps: 1 } as const

  test('a folder with a run is not touched unless told', async () => {
    await runToEnd(settingsFor(site, 'taken', quick), world)
    const before = outcome(join(site.folder, 'taken'))
    await expect(runToEnd(settingsFor(site, 'taken', quick), world)).rejects.toThrow(
      /holds a run already.*--resume_from_checkpoint/,
    )
    expect(outcome(join(site.folder, 'taken'))).toEqual(before)
    const again = await runToEnd(settingsFor(site, 'taken', { ...quick, overwrite_output_dir: true }), world)
    expect(losses(again)).toHaveLength(2)
  })

  test('a second run in one folder is refused, naming the first', async () => {
    const settings = settingsFor(site, 'locked', quick)
    const { train } = await import('../src/index.ts')
    const running = train(settings, world)
    await running.next()
    await expect(runToEnd(settings, world)).rejects.toThrow(new RegExp(`in use by process ${process.pid}`))
    await running.return(undefined)
    await runToEnd({ ...settings, overwrite_output_dir: true }, world)
  })

  test('a damaged newest checkpoint is passed over, aloud, and the run still ends as it would have', async () => {
    const settings = settingsFor(site, 'damaged', { ...quick, max_steps: 4, save_steps: 1, save_total_limit: 9 })
    await runToEnd(settings, world)
    const expected = factors(join(site.folder, 'damaged'))
    const file = join(site.folder, 'damaged', 'checkpoint-4', 'adapter_model.safetensors')
    const bytes = readFileSync(file)
    bytes[bytes.length - 7] ^= 16
    writeFileSync(file, bytes)
    rmSync(join(site.folder, 'damaged', 'checkpoint-3', 'manifest.json'))
    const events = await runToEnd({ ...settings, resume_from_checkpoint: true }, world)
    expect(ofType(events, 'checkpoint-damaged').map(({ folder }) => folder.at(-1))).toEqual(['4', '3'])
    expect(ofType(events, 'checkpoint-damaged')[0].reason).toMatch(/adapter_model.safetensors has changed/)
    expect(events.find(({ type }) => type === 'run-resumed')).toMatchObject({ update: 2 })
    expect(factors(join(site.folder, 'damaged'))).toEqual(expected)
    expect(listCheckpoints(join(site.folder, 'damaged')).map(damageOf)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  test('where every checkpoint is damaged nothing is deleted and nothing begun', async () => {
    const settings = settingsFor(site, 'ruined', quick)
    await runToEnd(settings, world)
    for (const { path } of listCheckpoints(join(site.folder, 'ruined'))) rmSync(join(path, 'optimizer.safetensors'))
    const before = listCheckpoints(join(site.folder, 'ruined'))
    await expect(runToEnd({ ...settings, resume_from_checkpoint: true }, world)).rejects.toThrow(
      /none of its 2 checkpoints is whole/,
    )
    expect(listCheckpoints(join(site.folder, 'ruined'))).toEqual(before)
  })

  test.each([
    ['beta', { beta: 0.2 }, /beta 0\.4, now it is 0\.2/],
    ['seed', { seed: 1 }, /seed 42, now it is 1/],
    ['updates', { max_steps: 3 }, /updates 2, now it is 3/],
  ])('a run whose %s has changed is not resumed, unless told', async (name, change, message) => {
    const settings = settingsFor(site, `changed-${name}`, quick)
    await runToEnd(settings, world)
    const changed = { ...settings, ...change, resume_from_checkpoint: true }
    await expect(runToEnd(changed, world)).rejects.toThrow(message)
    await runToEnd({ ...changed, resume_changed: true }, world)
  })

  test('a run whose data have changed is not resumed', async () => {
    const data = join(site.folder, 'other.jsonl')
    copyFileSync(site.data, data)
    const settings = settingsFor(site, 'other-data', { ...quick, dataset_path: data })
    await runToEnd(settings, world)
    writeFileSync(data, `${JSON.stringify(makeTinyRow(1, 1))}\n${readFileSync(data, 'utf8')}`)
    await expect(runToEnd({ ...settings, resume_from_checkpoint: true }, world)).rejects.toThrow(/with dataset/)
  })

  test('a rate that blows the weights up is named in the same update, and never saved', async () => {
    const settings = settingsFor(site, 'blown', {
      ...quick,
      max_steps: 9,
      learning_rate: 1e30,
      warmup_ratio: 0,
      max_grad_norm: 0,
    })
    await expect(runToEnd(settings, world)).rejects.toThrow(
      /update \d: .*(is not finite|is (NaN|-?Infinity)).*--learning_rate/,
    )
    for (const { path } of listCheckpoints(join(site.folder, 'blown'))) {
      expect([...loadedFactors(path)].every(Number.isFinite)).toBe(true)
    }
  })

  function loadedFactors(path: string): number[] {
    return [...namedFactors(loadAdapter(path, loadConfig(site.model).config)).values()].flatMap(({ data }) => [...data])
  }

  test.each([
    ['no model there', { base_model: '/nowhere/model' }, /no model at/],
    ['no data there', { dataset_path: '/nowhere/data.jsonl' }, /nowhere/],
    ['a step longer than max_length', { max_length: 8 }, /no pair is left/],
    ['a target that no linear has', { lora_target_modules: ['q_prog'] }, /q_prog.*q_proj/],
  ])('%s is said in words', async (name, change, message) => {
    const settings = settingsFor(site, `bad-${name.replaceAll(' ', '-')}`, { ...quick, ...change })
    const run = runToEnd(settings, world)
    await expect(run).rejects.toThrow(UserError)
    await expect(run).rejects.toThrow(message)
  })

  test('unlabelled rows are not trained on as they are', async () => {
    const data = join(site.folder, 'prompts.jsonl')
    writeFileSync(data, '{"prompt": "How many?"}\n')
    const trainer = await StepwiseDPOTrainer.create({
      baseModel: site.model,
      trainDataset: data,
      rewardModel: 'gpt-4',
      args: { output_dir: join(site.folder, 'unlabelled') },
    })
    await expect(runToEnd(trainer.settings, world)).rejects.toThrow(/unlabelled.*stepdpo run/s)
  })

  test('a model without a tokenizer can be trained on token ids, and on nothing else', async () => {
    const bare = join(site.folder, 'bare')
    const { mkdirSync } = await import('node:fs')
    mkdirSync(bare)
    for (const name of ['config.json', 'model.safetensors']) copyFileSync(join(site.model, name), join(bare, name))
    await expect(runToEnd(settingsFor(site, 'no-words', { ...quick, base_model: bare }), world)).rejects.toThrow(
      /tokenizer/,
    )
    const data = join(site.folder, 'ids.jsonl')
    const row = { prompt_ids: [5, 6], chosen_ids: [7, 8], rejected_ids: [9] }
    writeFileSync(data, `${JSON.stringify(row)}\n${JSON.stringify({ ...row, chosen_ids: [10] })}\n`)
    const events = await runToEnd(settingsFor(site, 'ids', { ...quick, base_model: bare, dataset_path: data }), world)
    expect(losses(events)).toHaveLength(2)
  })
})

describe('supervised fine-tuning', () => {
  const data = join(site.folder, 'demonstrations.jsonl')
  const rows = Array.from({ length: 24 }, (_, at) => {
    const answer = { role: 'assistant', content: `It is ${at + 1}.` }
    return JSON.stringify({ messages: [{ role: 'user', content: `What comes after ${at}?` }, answer] })
  })
  writeFileSync(data, `${rows.join('\n')}\n`)
  const sft = { objective: 'sft', dataset_path: data, eval_split: 0.2 } as const

  test('from scratch: the loss falls, and what it leaves is a model that loads without its maker', async () => {
    const settings = settingsFor(site, 'scratch', {
      ...sft,
      use_lora: false,
      from_scratch: true,
      num_train_epochs: 6,
      learning_rate: 1e-2,
    })
    const events = await runToEnd(settings, world)
    const evaluations = ofType(events, 'evaluation-end').map(({ metrics }) => metrics['eval_loss'])
    expect(evaluations[evaluations.length - 1]).toBeLessThan(evaluations[0] - 1)
    expect(losses(events)[0]).toBeGreaterThan(Math.log(260) - 0.2) // knows nothing of 260 tokens
    const model = loadModel(settings.output_dir ?? '')
    expect(model.config).toEqual(loadConfig(site.model).config)
    expect(existsSync(join(settings.output_dir ?? '', 'tokenizer.json'))).toBe(true)
  })

  test('that is stopped and resumed ends bit for bit as it would have', async () => {
    const calm = settingsFor(site, 'sft-calm', sft)
    await runToEnd(calm, world)
    const stopped = settingsFor(site, 'sft-stopped', sft)
    const stop = new AbortController()
    for await (const event of train(stopped, testWorld(site, stop.signal))) {
      if (event.type === 'update-end' && event.update === 3) stop.abort()
    }
    await runToEnd({ ...stopped, resume_from_checkpoint: true }, world)
    const plain = (folder: string) => [...outcome(folder).values()]
    expect(plain(stopped.output_dir ?? '')).toEqual(plain(calm.output_dir ?? ''))
  })

  test('asks no reference and refuses what needs one', async () => {
    const settings = settingsFor(site, 'sft-refused', { ...sft, precompute_ref_log_probs: true })
    await expect(runToEnd(settings, world)).rejects.toThrow('other objectives ask no reference')
    const scratch = settingsFor(site, 'scratch-refused', { ...sft, from_scratch: true })
    await expect(runToEnd(scratch, world)).rejects.toThrow('say use_lora false too')
  })
})
