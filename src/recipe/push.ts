/** @file What `train` or `merge` has made, on the Hub: the `push` command. */
import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError, UserError } from '../base/errors.ts'
import type { Hub } from '../interop/hub-access.ts'
import { isRevision, parseHubName, type Repo } from '../interop/hub-name.ts'
import { createRepo, uploadFiles } from '../interop/hub-upload.ts'
import { ADAPTER_CONFIG } from '../model/adapter-file.ts'
import { readJsonFile } from '../model/load.ts'
import type { PushSettings } from './hub-settings.ts'

/** What others need to use it. Settings, states and logs of the run stay: they name folders of this machine. */
const ADAPTER_FILES = /^adapter_(config\.json|model\.safetensors)$/
const MODEL_FILES = /^(config\.json|model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json)$/
const COMPANIONS =
  /^(tokenizer(_config)?\.json|tokenizer\.model|special_tokens_map\.json|added_tokens\.json|vocab\.json|merges\.txt|chat_template\.jinja|generation_config\.json|stepdpo_prm\.json|README\.md|LICENSE(\.txt|\.md)?|NOTICE|USE_POLICY\.md)$/

export interface Pushed {
  readonly repo: string
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
  /** Null after a dry run. */
  readonly commit: string | null
  readonly url: string
  readonly warnings: readonly string[]
}

/** @throws UsageError for a name that is none, UserError for a folder that is no result, and what the Hub refuses. */
export async function push(
  settings: PushSettings,
  openHub: () => Hub,
  onFile: (path: string) => void,
): Promise<Pushed> {
  const { folder, revision, dry_run } = settings
  const name = parseHubName(settings.repo, 'model')
  if (name === undefined || name.file !== undefined || name.revision !== 'main') {
    throw new UsageError(`'${settings.repo}': expected org/name`)
  }
  if (!isRevision(revision)) throw new UsageError(`--revision ${revision}: expected the name of a branch`)
  const repo: Repo = { type: 'model', id: name.id, revision }
  const files = resultFiles(folder)
  const sizes = files.map((path) => ({ path, bytes: statSync(join(folder, path)).size }))
  const hub = openHub()
  const facts = { repo: repo.id, files: sizes, url: `${hub.endpoint}/${repo.id}`, warnings: warningsOf(folder) }
  if (dry_run) return { ...facts, commit: null }
  if (hub.isOffline) throw new UserError('HF_HUB_OFFLINE is set, nothing is uploaded; unset it')
  if (hub.token === undefined) {
    throw new UserError('push: set HF_TOKEN to a token that may write (huggingface.co/settings/tokens)')
  }
  await createRepo(hub, repo, settings.private)
  const commit = await uploadFiles(hub, { repo, folder, files, message: settings.commit_message }, onFile)
  return { ...facts, commit }
}

/** The files of a folder that belong to an adapter or a model. @throws UserError where it is neither. */
function resultFiles(folder: string): string[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new UserError(`${folder}: there is no such folder`)
  const names = readdirSync(folder).sort()
  const isAdapter = names.includes(ADAPTER_CONFIG) && names.includes('adapter_model.safetensors')
  const isModel = names.includes('config.json') && names.some((name) => /^model.*\.safetensors$/.test(name))
  if (!isAdapter && !isModel) {
    throw new UserError(
      `${folder}: expected an adapter (${ADAPTER_CONFIG}, adapter_model.safetensors) or a model (config.json, model.safetensors), found neither`,
    )
  }
  const own = isAdapter ? ADAPTER_FILES : MODEL_FILES
  const files = names.filter((name) => own.test(name) || COMPANIONS.test(name))
  const odd = files.find((name) => !lstatSync(join(folder, name)).isFile())
  if (odd === undefined) return files
  throw new UserError(`${join(folder, odd)}: expected a file, found a link or a folder: put the file itself there`)
}

function warningsOf(folder: string): string[] {
  const path = join(folder, ADAPTER_CONFIG)
  const json = existsSync(path) ? readJsonFile(path) : undefined
  const base =
    typeof json === 'object' && json !== null && 'base_model_name_or_path' in json ? json.base_model_name_or_path : ''
  if (typeof base !== 'string' || base === '' || parseHubName(base, 'model') !== undefined) return []
  return [
    `${ADAPTER_CONFIG} names its base model as ${base}, which others do not have: write its name on the Hub there`,
  ]
}
