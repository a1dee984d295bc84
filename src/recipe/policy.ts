/** @file A policy that samples: a model folder with or without an adapter, opened for decoding, or a served model. */
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import { UserError } from '../base/errors.ts'
import { sha256 } from '../base/hash.ts'
import { ortBackend } from '../engine/session.ts'
import { titleOf } from '../interop/hub-name.ts'
import { type ChatName, PROVIDER_NAMES, parseServedName } from '../judge/provider.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { openDecoder, type Storage } from '../model/decode.ts'
import type { Keep } from '../model/keep.ts'
import { loadKept } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import type { Generator } from '../rollout/generator.ts'
import { localGenerator } from '../rollout/local.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import { modelFingerprint } from './fingerprint.ts'
import type { PolicySettings } from './generate-settings.ts'
import { remoteGenerator } from './remote-policy.ts'
import type { World } from './world.ts'

export interface OpenPolicy {
  readonly generator: Generator
  dispose(): Promise<void>
}

/** Who samples, for people and in ids: the folder's name and the hash of all that it computes with. */
export function policyName({
  base_model,
  adapter,
  decode_dtype = 'float32',
}: Pick<PolicySettings, 'base_model' | 'adapter'> & Partial<Pick<PolicySettings, 'decode_dtype'>>): string {
  const parts = [base_model, ...(adapter === undefined ? [] : [adapter])]
  const hash = sha256(parts.map(modelFingerprint).join(' ')).slice(0, 12)
  return `${parts.map((path) => basename(titleOf(path))).join('+')}@${hash}${decode_dtype === 'float32' ? '' : `-${decode_dtype}`}`
}

/**
 * The served model that a name means; undefined for a path. What exists on the disk is a path.
 * @throws UserError for a name that is neither.
 */
export function servedModel(base_model: string): ChatName | undefined {
  if (existsSync(base_model)) return undefined
  const served = parseServedName(base_model)
  if (served !== undefined) return served
  throw new UserError(
    `--base_model ${base_model}: there is no such file or folder, and no provider of this name. Expected a model folder, ` +
      `a .gguf file, gpt-…, claude-…, or provider:model[@baseURL] with one of ${PROVIDER_NAMES}`,
  )
}

/** What people call a model or an adapter: the name of its folder, or of the served one. */
export function shortName(path: string): string {
  return existsSync(path) ? basename(titleOf(path)) : path
}

/** A folder's name for what a generator makes: the generator's, where it can be one. */
export function folderOf({ name }: Generator): string {
  const plain = name.replace(/[/\\:*?"<>|\s]+/g, '-')
  return plain === name ? name : `${plain.slice(0, 60)}@${sha256(name).slice(0, 12)}`
}

/** @throws UserError or InputError where model, adapter, tokenizer, server or key cannot be used. */
export async function openPolicy(settings: PolicySettings, world: World): Promise<OpenPolicy> {
  const served = servedModel(settings.base_model)
  if (served === undefined) return openLocal(settings)
  if (settings.adapter !== undefined) {
    throw new UserError(
      `--adapter: ${settings.base_model} is served; let its server load the adapter, and name it as the model`,
    )
  }
  return { generator: remoteGenerator(served, settings, world), dispose: async () => {} }
}

/** How the weights are loaded that are to be held so: what is rounded is rounded tensor by tensor. */
export function keepFor(storage: Storage): Keep {
  return storage === 'float32' ? 'stored' : storage
}

async function openLocal(settings: PolicySettings): Promise<OpenPolicy> {
  const { base_model, adapter, threads = availableParallelism(), batch_size } = settings
  const tokenizer = loadTokenizer(base_model)
  const { config, weights } = loadKept(base_model, keepFor(settings.decode_dtype))
  const machine = makeMachine(ortBackend({ threads }), config, weights)
  const storage = settings.decode_dtype
  const options = adapter === undefined ? { storage } : { storage, adapter: loadAdapter(adapter, config) }
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
