/** @file Whole runs on a tiny model, for tests: made once, trained in folders of their own. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { makeTinyRow } from '../scripts/tiny-data.ts'
import { writeTinyModel } from '../scripts/tiny-model.ts'
import type { RunEvent } from '../src/data/events.ts'
import type { TrainInput } from '../src/recipe/config.ts'
import { train } from '../src/recipe/train.ts'
import type { World } from '../src/recipe/world.ts'

export interface Site {
  readonly folder: string
  readonly model: string
  readonly data: string
}

/** A folder with a tiny model and rated word problems. */
export function makeSite(problems = 14): Site {
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-run-'))
  const model = join(folder, 'model')
  writeTinyModel(model, 0)
  const data = join(folder, 'steps.jsonl')
  const rows = Array.from({ length: problems }, (_, index) => `${JSON.stringify(makeTinyRow(0, index))}\n`)
  writeFileSync(data, rows.join(''))
  return { folder, model, data }
}

/** Settings of a run that meets everything: dropout, accumulation, epochs that end unevenly, evaluation. */
export function settingsFor(site: Site, name: string, more: Partial<TrainInput> = {}): TrainInput {
  return {
    base_model: site.model,
    dataset_path: site.data,
    output_dir: join(site.folder, name),
    num_train_epochs: 2,
    per_device_train_batch_size: 3,
    gradient_accumulation_steps: 2,
    learning_rate: 2e-3,
    lora_r: 4,
    lora_dropout: 0.1,
    eval_strategy: 'steps',
    eval_steps: 3,
    eval_split: 0.2,
    save_steps: 4,
    max_row_tokens: 600,
    max_length: 400,
    report_to: [],
    threads: 1,
    ...more,
  }
}

export function testWorld(site: Site, signal: AbortSignal = new AbortController().signal): World {
  return {
    now: () => new Date('2026-01-02T03:04:05Z'),
    seconds: () => performance.now() / 1000,
    environment: { STEPDPO_CACHE: join(site.folder, 'cache') },
    signal,
  }
}

/** Runs to the end and gives what happened. */
export async function runToEnd(settings: TrainInput, world: World): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of train(settings, world)) events.push(event)
  return events
}

/** What a run must repeat bit for bit: adapter, optimizer, metrics, state; by path, without what tells the time. */
export function outcome(folder: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const isKept =
      /(^|\/)(adapter_model|optimizer)\.safetensors$|metrics\.jsonl$|trainer_state\.json$|rng_state\.json$/.test(path)
    if (isKept) files.set(relative('.', path), readFileSync(join(folder, path)).toString('latin1'))
  }
  return files
}

export function makeFolder(path: string): string {
  mkdirSync(path, { recursive: true })
  return path
}
