/** @file What a finished run leaves: the adapter or model, the files that go with it, and its results. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Bytes, writeDurably } from '../base/files.ts'
import type { Metrics } from '../data/events.ts'
import type { RaisedAlarm } from '../eval/alarms.ts'
import { hubTitle, titleOf } from '../interop/hub-name.ts'
import { modelCard } from '../interop/model-card.ts'
import { PRM_FILE, type VerdictSettings } from '../judge/verdicts.ts'
import { adapterFiles } from '../model/adapter-file.ts'
import type { LoadedModel } from '../model/load.ts'
import type { Adapter } from '../model/lora.ts'
import { safetensorsParts } from '../model/safetensors-write.ts'
import { float32Weights, type KeptTensor, namedWeights } from '../model/weights.ts'
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
  readonly model: LoadedModel<KeptTensor>
  readonly adapter: Adapter | undefined
  /** Of a process reward model: how it reads solutions. */
  readonly verdicts: VerdictSettings | undefined
}

/** What is left in the folder of a run that came to its end. */
export interface Left {
  readonly files: ReadonlyMap<string, Bytes | Iterable<Bytes>>
  /** The model that was trained, or that the adapter is for. */
  readonly base: string
  readonly isAdapter: boolean
}

export function leftOf(learned: Learned): Left {
  return { files: learnedFiles(learned), base: learned.model.path, isAdapter: learned.adapter !== undefined }
}

/** The files of what learns: a PEFT folder's, or those of a whole model. */
export function learnedFiles({ verdicts, ...learned }: Learned): Map<string, Bytes | Iterable<Bytes>> {
  const files = weightFiles(learned)
  return verdicts === undefined ? files : files.set(PRM_FILE, `${JSON.stringify(verdicts, null, 2)}\n`)
}

function weightFiles({ model, adapter }: Pick<Learned, 'model' | 'adapter'>): Map<string, Bytes | Iterable<Bytes>> {
  if (adapter !== undefined) return adapterFiles(adapter, hubTitle(model.path) ?? model.path)
  const config = { ...Object(model.json), torch_dtype: 'float32', dtype: 'float32' }
  return new Map<string, Bytes | Iterable<Bytes>>([
    [MODEL_WEIGHTS, safetensorsParts(namedWeights(float32Weights(model.weights)), new Map([['format', 'pt']]))],
    ['config.json', `${JSON.stringify(config, null, 2)}\n`],
  ])
}

function writeJson(path: string, value: unknown): void {
  writeDurably(path, `${JSON.stringify(value, null, 2)}\n`)
}

/** Results in the files that Trainer writes, and everything that makes the folder loadable by itself. */
export function writeResults(
  folder: string,
  { files, base, isAdapter }: Left,
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
  for (const [name, content] of files) writeDurably(join(folder, name), content)
  if (statSync(base).isDirectory()) {
    for (const name of COMPANIONS) {
      const from = join(base, name)
      if (existsSync(from)) writeDurably(join(folder, name), readFileSync(from))
    }
  }
  writeJson(join(folder, 'training_args.json'), run.settings)
  writeJson(join(folder, 'train_results.json'), run.train)
  if (Object.keys(run.evaluation).length > 0) writeJson(join(folder, 'eval_results.json'), run.evaluation)
  writeJson(join(folder, 'all_results.json'), { ...run.train, ...run.evaluation })
  writeDurably(join(folder, 'trainer_state.json'), run.state)
  const { adapter } = run.settings
  const card = modelCard({
    baseModel: titleOf(base),
    dataset: titleOf(run.settings.dataset_path),
    isAdapter,
    ...(adapter !== undefined && { begunFrom: titleOf(adapter) }),
    updates: run.updates,
    settings: run.settings,
    evaluation: run.evaluation,
    alarms: run.alarms,
    picture: run.picture,
    version: packageVersion(),
  })
  writeDurably(join(folder, 'README.md'), card)
}
