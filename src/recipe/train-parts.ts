/** @file What a training run is made of: model, adapter, machines and the caches they share. */
import { join } from 'node:path'
import { cacheFolder } from '../base/cache-folder.ts'
import type { Backend } from '../engine/backend.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import type { ModelConfig } from '../model/config.ts'
import type { FedLayers } from '../model/forward.ts'
import type { Keep } from '../model/keep.ts'
import { adapterLearner, fullLearner } from '../model/learner.ts'
import { type LoadedModel, loadModel } from '../model/load.ts'
import { type Adapter, adaptedLayers, createAdapter } from '../model/lora.ts'
import { makeMachine } from '../model/machine.ts'
import { weightLayers } from '../model/pass.ts'
import type { KeptTensor } from '../model/weights.ts'
import { openReferenceCache } from '../train/reference.ts'
import type { Policy } from '../train/score.ts'
import type { TrainSettings } from './config.ts'
import { modelFingerprint } from './fingerprint.ts'
import { loraSettings } from './lora-settings.ts'
import { lessonOf } from './objectives.ts'
import type { RunFolder } from './run-folder.ts'
import type { World } from './world.ts'

/** What was decided when the run began, and stays when it is resumed elsewhere. */
export interface Choices {
  readonly threads: number
  readonly gradient_checkpointing: boolean
}

export interface TrainParts {
  readonly model: LoadedModel<KeptTensor>
  /** The hash of the model's files. */
  readonly fingerprint: string
  readonly adapter: Adapter | undefined
  readonly policy: Policy
  /** The layers as evaluation runs them. */
  readonly evaluated: FedLayers
  dispose(): Promise<void>
}

/** What learns where not all weights do: new, or the one that was named. */
export function makeAdapter(settings: TrainSettings, config: ModelConfig): Adapter | undefined {
  if (!settings.use_lora) return undefined
  if (settings.adapter !== undefined) {
    const { settings: own, layers } = loadAdapter(settings.adapter, config)
    return { settings: { ...own, dropout: settings.lora_dropout ?? own.dropout }, layers }
  }
  return createAdapter(config, loraSettings(settings), settings.seed)
}

/** How the weights of a run are kept: what learns is in float32. */
export function keepOf(settings: Pick<TrainSettings, 'use_lora' | 'load_in_4bit' | 'load_in_8bit'>): Keep {
  if (!settings.use_lora) return 'float32'
  if (settings.load_in_4bit) return 'int4'
  return settings.load_in_8bit ? 'int8' : 'stored'
}

/** Builds machines for a model. Where all weights learn, the reference is a second copy of them. */
export function makeParts(
  model: LoadedModel<KeptTensor>,
  settings: TrainSettings,
  choices: Choices,
  place: { readonly folder: RunFolder; readonly world: World; readonly backend: Backend },
): TrainParts {
  const { config } = model
  const { backend } = place
  const machine = makeMachine(backend, config, model.weights)
  const adapter = makeAdapter(settings, config)
  // Supervised fine-tuning asks no reference: none is loaded.
  const isAsked = lessonOf(settings) === 'preferences' && adapter === undefined
  const reference = isAsked ? makeMachine(backend, config, loadModel(model.path).weights) : machine
  const fingerprint = modelFingerprint(model.path)
  // Weights that are rounded say something else than those of the file, and devices round otherwise.
  const rounding = settings.load_in_4bit || settings.load_in_8bit ? `-${keepOf(settings)}` : ''
  const onDevice = backend.device === undefined ? '' : `-${backend.device.name}`
  const shared = join(cacheFolder(place.world.environment), 'reference', `${fingerprint}${rounding}${onDevice}.log`)
  // What a reference that moves has said is of no use later.
  const cache = settings.sync_ref_model ? undefined : openReferenceCache(place.folder.own('reference.log'), shared)
  return {
    model,
    fingerprint,
    adapter,
    policy: {
      machine,
      learner: adapter === undefined ? fullLearner(machine) : adapterLearner(machine, adapter, settings.seed),
      reference,
      cache,
      keeping: choices.gradient_checkpointing ? 'inputs' : 'products',
    },
    evaluated: adapter === undefined ? weightLayers(machine) : adaptedLayers(machine, adapter),
    dispose: async () => {
      cache?.close()
      await machine.dispose()
      if (reference !== machine) await reference.dispose()
    },
  }
}
