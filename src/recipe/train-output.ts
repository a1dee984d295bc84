/** @file What a finished run leaves: the adapter or model, the files that go with it, and its results. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Bytes, writeDurably } from '../base/files.ts'
import type { Metrics } from '../data/events.ts'
import type { RaisedAlarm } from '../eval/alarms.ts'
import { modelCard } from '../interop/model-card.ts'
import { PRM_FILE, type VerdictSettings } from '../judge/verdicts.ts'
import { adapterFiles } from '../model/adapter-file.ts'
import type { LoadedModel } from '../model/load.ts'
import type { Adapter } from '../model/lora.ts'
import { safetensorsParts } from '../model/safetensors-write.ts'
import { namedWeights } from '../model/weights.ts'
import type { TrainSettings } from './config.ts'
import { packageVersion } from './version.ts'

export const MODEL_WEIGHTS = 'model.safetensors'

/** Files of the base model that belong to what was trained, where they are there. */
const COMPANIONS = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'generation_config.json',
]

/** What a run leaves. */
export interface Learned {
  readonly model: LoadedModel
  readonly adapter: Adapter | undefined
  /** Of a process reward model: how it reads solutions. */
  readonly verdicts: VerdictSettings | undefined
}

/** The files of what learns: a PEFT folder's, or those of a whole model. */
export function learnedFiles({ verdicts, ...learned }: Learned): Map<string, Bytes | Iterable<Bytes>> {
  const files = weightFiles(learned)
  return verdicts === undefined ? files : files.set(PRM_FILE, `${JSON.stringify(verdicts, null, 2)}\n`)
}

function weightFiles({ model, adapter }: Pick<Learned, 'model' | 'adapter'>): Map<string, Bytes | Iterable<Bytes>> {
  if (adapter !== undefined) return adapterFiles(adapter, model.path)
  const config = { ...Object(model.json), torch_dtype: 'float32', dtype: 'float32' }
  return new Map<string, Bytes | Iterable<Bytes>>([
    [MODEL_WEIGHTS, safetensorsParts(namedWeights(model.weights), new Map([['format', 'pt']]))],
    ['config.json', `${JSON.stringify(config, null, 2)}\n`],
  ])
}

function writeJson(path: string, value: unknown): void {
  writeDurably(path, `${JSON.stringify(value, null, 2)}\n`)
}

/** Results in the files that Trainer writes, and everything that makes the folder loadable by itself. */
export function writeResults(
  folder: string,
  learned: Learned,
  run: {
    readonly settings: TrainSettings
    readonly train: Metrics
    readonly evaluation: Metrics
    readonly updates: number
    readonly state: string
    readonly alarms: readonly RaisedAlarm[]
    /** Rewards by step, as lines. */
    readonly picture: readonly string[]
  },
): void {
  const { model, adapter } = learned
  for (const [name, content] of learnedFiles(learned)) writeDurably(join(folder, name), content)
  if (statSync(model.path).isDirectory()) {
    for (const name of COMPANIONS) {
      const from = join(model.path, name)
      if (existsSync(from)) writeDurably(join(folder, name), readFileSync(from))
    }
  }
  writeJson(join(folder, 'training_args.json'), run.settings)
  writeJson(join(folder, 'train_results.json'), run.train)
  if (Object.keys(run.evaluation).length > 0) writeJson(join(folder, 'eval_results.json'), run.evaluation)
  writeJson(join(folder, 'all_results.json'), { ...run.train, ...run.evaluation })
  writeDurably(join(folder, 'trainer_state.json'), run.state)
  const card = modelCard({
    baseModel: basename(model.path),
    dataset: basename(run.settings.dataset_path),
    isAdapter: adapter !== undefined,
    updates: run.updates,
    settings: run.settings,
    evaluation: run.evaluation,
    alarms: run.alarms,
    picture: run.picture,
    version: packageVersion(),
  })
  writeDurably(join(folder, 'README.md'), card)
}
