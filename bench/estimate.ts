/**
 * @file What `stepdpo estimate` says against what training takes: npm run bench:estimate.
 *
 * Each configuration trains UPDATES (2) updates by the built command in a process of its own, whose peak of memory is set
 * against the estimate for the same settings. Random models in the shape of real ones stand beside SmolLM2 of ../shared. The
 * time is estimated before and after: how far the two are apart says how steady the machine was. Set ONLY=name;name.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type TrainInput, trainSchema } from '../src/recipe/config.ts'
import { estimate } from '../src/recipe/estimate.ts'
import { inChild } from './child.ts'
import { peakGb, printTable, setting } from './measure.ts'
import { MODEL, PRM800K } from './peer.ts'
import { writeBfloat16 } from './random-model.ts'
import { type ShapeName, shapes } from './shapes.ts'

const UPDATES = setting('UPDATES', 2)
const BUILT = new URL('../dist/command/main.js', import.meta.url).href

interface Configuration {
  readonly model: 'SmolLM2' | ShapeName
  readonly settings: Partial<TrainInput>
}

const configurations: Readonly<Record<string, Configuration>> = {
  'SmolLM2, LoRA, rows of 1,024': { model: 'SmolLM2', settings: { max_row_tokens: 1024 } },
  'SmolLM2, LoRA, rows of 512, recomputed': {
    model: 'SmolLM2',
    settings: { max_row_tokens: 512, max_length: 512, gradient_checkpointing: true },
  },
  'SmolLM2, all weights': { model: 'SmolLM2', settings: { use_lora: false, max_row_tokens: 512, max_length: 512 } },
  'SmolLM2, LoRA with dropout, rows of 2,048': {
    model: 'SmolLM2',
    settings: { lora_dropout: 0.1, max_row_tokens: 2048 },
  },
  'Qwen2.5-0.5B shape in bfloat16, LoRA': {
    model: 'Qwen2.5-0.5B',
    settings: { per_device_train_batch_size: 1, max_row_tokens: 512, max_length: 512 },
  },
  'TinyLlama-1.1B shape in bfloat16, LoRA, recomputed': {
    model: 'TinyLlama-1.1B',
    settings: { per_device_train_batch_size: 1, max_row_tokens: 512, max_length: 512, gradient_checkpointing: true },
  },
  'TinyLlama-1.1B shape, 4 bits, LoRA r64': {
    model: 'TinyLlama-1.1B',
    settings: { per_device_train_batch_size: 1, max_row_tokens: 512, max_length: 512, load_in_4bit: true, lora_r: 64 },
  },
}

const measuredSchema = z.object({ peak: z.number(), seconds: z.number() })

async function train(config: string): Promise<z.output<typeof measuredSchema>> {
  const { main }: typeof import('../src/cli/main.ts') = await import(BUILT)
  const settings: TrainInput = JSON.parse(config)
  await main([
    'train',
    ...Object.entries(settings).map(([key, value]) => `${key}=${typeof value === 'object' ? 'none' : value}`),
  ])
  const lines = readFileSync(join(`${settings.output_dir}`, 'stepdpo', 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
  const updates = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'update-end')
  return { peak: peakGb(), seconds: updates.reduce((sum, { seconds }) => sum + seconds, 0) / updates.length }
}

async function measure(name: string, { model, settings }: Configuration): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-estimate-'))
  try {
    const base_model = model === 'SmolLM2' ? MODEL : join(folder, 'model')
    if (model !== 'SmolLM2') writeBfloat16(base_model, shapes[model])
    const input: TrainInput = {
      base_model,
      dataset_path: PRM800K,
      output_dir: join(folder, 'run'),
      max_steps: UPDATES,
      per_device_train_batch_size: 4,
      report_to: [],
      gradient_checkpointing: false,
      ...settings,
    }
    const asked = trainSchema.parse(input)
    const said = await estimate(asked)
    const found = await inChild(import.meta.filename, [JSON.stringify(input)], measuredSchema)
    const again = await estimate(asked)
    const times = [said, again].map(({ seconds_per_update }) => (seconds_per_update ?? Number.NaN) / found.seconds)
    const ratio = said.peak / 1e9 / found.peak
    return [
      name,
      (said.peak / 1e9).toFixed(2),
      found.peak.toFixed(2),
      ratio.toFixed(3),
      found.seconds.toFixed(1),
      ((times[0] + times[1]) / 2).toFixed(2),
      times.map((time) => time.toFixed(2)).join(', '),
    ]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function compare(): Promise<void> {
  const only = process.env['ONLY']?.split(';')
  const rows: string[][] = []
  for (const [name, configuration] of Object.entries(configurations)) {
    if (only !== undefined && !only.includes(name)) continue
    const row = await measure(name, configuration)
    rows.push(row)
    console.log(row.join(' · ')) // the whole takes long
  }
  printTable(
    [
      'configuration',
      'estimated GB',
      'peak GB',
      'ratio (goal 0.85–1.15)',
      's an update',
      'time ratio',
      'before, after',
    ],
    rows,
  )
}

const [config] = process.argv.slice(2)
if (config === undefined) await compare()
else process.send?.(await train(config))
