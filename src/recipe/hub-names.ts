/**
 * @file Settings that name models and data sets of the Hub, with the paths of their files instead: an existing path stands
 * for itself, then comes the cache, then a download of what is needed.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Environment, type Hub, hubCache } from '../interop/hub-access.ts'
import { findSnapshot } from '../interop/hub-cache.ts'
import { type HubName, parseHubName, type RepoType } from '../interop/hub-name.ts'
import { ADAPTER_CONFIG } from '../model/adapter-file.ts'
import { readJsonFile } from '../model/load.ts'
import type { Show } from './hub-files.ts'
import { dataPlace, modelPlace } from './hub-places.ts'

/** The settings that may name something of the Hub. */
export interface HubSettings {
  readonly base_model?: string
  readonly adapter?: string
  readonly baseline?: string
  readonly reference_model?: string
  readonly dataset_path?: string
  readonly eval_dataset_path?: string
  readonly eval_generate_path?: string
  readonly check_leak?: string
  readonly rollouts?: string
  readonly reward_model?: string | readonly string[]
}

const KINDS: Readonly<Record<Exclude<keyof HubSettings, 'reward_model'>, RepoType>> = {
  base_model: 'model',
  adapter: 'model',
  baseline: 'model',
  reference_model: 'model',
  dataset_path: 'dataset',
  eval_dataset_path: 'dataset',
  eval_generate_path: 'dataset',
  check_leak: 'dataset',
  rollouts: 'dataset',
}

/** The Hub, opened when something is wanted of it, and who hears what comes. */
export interface HubUse {
  open(): Hub
  readonly show: Show
  /** Hears what a name stands for. */
  readonly tell: (message: string) => void
}

/**
 * The settings with paths in place of names of the Hub.
 * @throws UserError where something of the Hub cannot be had, naming what is missing and how to get it.
 */
export async function resolveNames<S extends HubSettings>(settings: S, use: HubUse): Promise<S> {
  const found = new Map<string, string | string[]>()
  const types = new Map(Object.entries(KINDS))
  for (const [key, text] of Object.entries(settings)) {
    const type = types.get(key)
    if (type !== undefined && typeof text === 'string') found.set(key, await resolveName(text, type, use))
  }
  const { reward_model } = settings
  if (typeof reward_model === 'string') found.set('reward_model', await resolveJudge(reward_model, use))
  else if (reward_model !== undefined) {
    const judges: string[] = []
    for (const judge of reward_model) judges.push(await resolveJudge(judge, use))
    found.set('reward_model', judges)
  }
  return { ...settings, ...Object.fromEntries(found) }
}

/** `local:PATH` and `implicit:PATH` are models of ours; an adapter among them brings its base model. */
async function resolveJudge(judge: string, use: HubUse): Promise<string> {
  const [, way, name] = /^(local|implicit):(.+)$/s.exec(judge) ?? []
  if (way === undefined) return judge
  const path = await resolveName(name, 'model', use)
  const config = join(path, ADAPTER_CONFIG)
  const base = existsSync(config) ? baseModelOf(readJsonFile(config)) : undefined
  if (base !== undefined && !existsSync(join(path, base))) await resolveName(base, 'model', use)
  return `${way}:${path}`
}

function baseModelOf(json: unknown): string | undefined {
  const name =
    typeof json === 'object' && json !== null && 'base_model_name_or_path' in json ? json.base_model_name_or_path : null
  return typeof name === 'string' ? name : undefined
}

/** The path that a name stands for; itself where it is none of the Hub. */
export async function resolveName(text: string, type: RepoType, use: HubUse): Promise<string> {
  const name = hubNameOf(text, type)
  if (name === undefined) return text
  const hub = use.open()
  const isData = name.type === 'dataset'
  const { commit, folder, file } = isData ? await dataPlace(hub, name, use.show) : await modelPlace(hub, name, use.show)
  use.tell(`${text}: commit ${commit}${isData ? `, ${file}` : ''}`)
  return file === undefined ? folder : join(folder, file)
}

/** What exists is a path, and so is, without `hf://`, what begins with a folder that exists: its end is mistyped. */
function hubNameOf(text: string, type: RepoType): HubName | undefined {
  if (existsSync(text)) return undefined
  const isHub = text.startsWith('hf://') || !existsSync(text.split(/[/@]/)[0])
  return isHub ? parseHubName(text, type) : undefined
}

/** The folder of a model in the cache, without a look at the Hub; undefined for what is a path, or not there. */
export function cachedModel(text: string, environment: Environment): string | undefined {
  const name = hubNameOf(text, 'model')
  return name === undefined ? undefined : findSnapshot(hubCache(environment), name)?.folder
}
