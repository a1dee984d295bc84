/** @file A policy that samples: a model folder with or without an adapter, opened for decoding. */
import { availableParallelism } from 'node:os'
import { basename, resolve } from 'node:path'
import { sha256 } from '../base/hash.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { openDecoder } from '../model/decode.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import type { Generator } from '../rollout/generator.ts'
import { localGenerator } from '../rollout/local.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import { modelFingerprint } from './fingerprint.ts'
import type { PolicySettings } from './generate-settings.ts'

export interface OpenPolicy {
  readonly generator: Generator
  dispose(): Promise<void>
}

/** Completions at once, where nobody says: more make each token cheaper, until the cache of keys outgrows the processor's. */
const BATCH_SIZE = 64

/** Who samples, for people and in ids: the folder's name and the hash of all that it computes with. */
export function policyName({ base_model, adapter }: PolicySettings): string {
  const parts = [base_model, ...(adapter === undefined ? [] : [adapter])]
  const hash = sha256(parts.map(modelFingerprint).join(' ')).slice(0, 12)
  return `${parts.map((path) => basename(resolve(path))).join('+')}@${hash}`
}

/** @throws UserError or InputError where model, adapter or tokenizer cannot be used. */
export async function openPolicy(settings: PolicySettings): Promise<OpenPolicy> {
  const { base_model, adapter, threads = availableParallelism(), batch_size = BATCH_SIZE } = settings
  const tokenizer = loadTokenizer(base_model)
  const { config, weights } = loadModel(base_model)
  const machine = makeMachine(ortBackend({ threads }), config, weights)
  const options = adapter === undefined ? {} : { adapter: loadAdapter(adapter, config) }
  const decoder = await openDecoder(machine, options)
  const name = policyName(settings)
  return {
    generator: localGenerator({ name, decoder, tokenizer }, batch_size),
    dispose: async () => {
      await decoder.dispose()
      await machine.dispose()
    },
  }
}
