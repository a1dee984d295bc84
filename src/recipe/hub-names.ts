/**
 * @file Settings that name models and data sets of the Hub, with the paths of their files instead: an existing path stands
 * for itself, then comes the cache, then a download of what is needed.
 */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { type Environment, type Hub, hubCache } from '../interop/hub-access.ts'
import { findSnapshot, repoFolder, type Snapshot, snapshotAt } from '../interop/hub-cache.ts'
import { type HubName, parseHubName, type RepoType } from '../interop/hub-name.ts'
import { type Listing, subjectOf } from '../interop/hub-repo.ts'
import { ADAPTER_CONFIG } from '../model/adapter-file.ts'
import { readJsonFile } from '../model/load.ts'
import { fetchFiles, type Show } from './hub-files.ts'
import { COMPANIONS, dataFiles, INDEX, missingFiles, modelFiles, shardsOf } from './hub-model.ts'

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
  const { commit, folder, file } = isData ? await dataFile(hub, name, use.show) : await modelPlace(hub, name, use.show)
  use.tell(`${text}: commit ${commit}${isData ? `, ${file}` : ''}`)
  return file === undefined ? folder : join(folder, file)
}

/** What exists is a path, and so is, without `hf://`, what begins with a folder that exists: its end is mistyped. */
function hubNameOf(text: string, type: RepoType): HubName | undefined {
  if (existsSync(text)) return undefined
  const start = statSync(text.split(/[/@]/)[0], { throwIfNoEntry: false })
  return start === undefined || text.startsWith('hf://') ? parseHubName(text, type) : undefined
}

/** The folder of a model in the cache, without a look at the Hub; undefined for what is a path, or not there. */
export function cachedModel(text: string, environment: Environment): string | undefined {
  const name = hubNameOf(text, 'model')
  return name === undefined ? undefined : findSnapshot(hubCache(environment), name)?.folder
}

/** What a name stands for: a folder of the cache, or a file in it. */
interface Place {
  readonly commit: string
  readonly folder: string
  readonly file?: string
}

async function modelPlace(hub: Hub, name: HubName, show: Show): Promise<Place> {
  const { commit, folder } = await modelSnapshot(hub, name, show)
  return { commit, folder, file: name.file }
}

async function modelSnapshot(hub: Hub, name: HubName, show: Show): Promise<Snapshot> {
  const cached = findSnapshot(hub.cache, name)
  const lacks = (snapshot: Snapshot, isStrict: boolean): string[] =>
    missingFiles(name, snapshot, () => readJsonFile(join(snapshot.folder, INDEX)), isStrict)
  if (cached !== undefined && lacks(cached, !hub.isOffline).length === 0) return cached
  if (hub.isOffline) throw offline(name, cached === undefined ? undefined : lacks(cached, false))
  return fetchModel(hub, name, show).catch((error: unknown) => {
    // What a person can start without the network works without it: only what may not even exist is not known.
    if (cached !== undefined && error instanceof UserError && lacks(cached, false).length === 0) return cached
    throw error
  })
}

async function fetchModel(hub: Hub, name: HubName, show: Show): Promise<Snapshot> {
  const first = await fetchFiles(
    hub,
    {
      repo: name,
      choose: ({ files }) => modelFiles(name, files),
      ...(name.file === undefined && { optional: COMPANIONS }),
    },
    show,
  )
  if (first.files.includes(INDEX)) {
    const shards = shardsOf(readJsonFile(join(first.folder, INDEX)), name)
    const choose = (): readonly string[] => shards
    await fetchFiles(hub, { repo: { ...name, revision: first.commit }, choose }, show)
  }
  return snapshotAt(repoFolder(hub.cache, name), first.commit)
}

/** Without a named file the Hub is asked, since the cache may hold one of several. */
async function dataFile(hub: Hub, name: HubName, show: Show): Promise<Place> {
  const cached = findSnapshot(hub.cache, name)
  const isThere = name.file === undefined ? hub.isOffline : cached?.has(name.file)
  if (cached !== undefined && isThere) {
    const [file] = dataFiles(name, cached.files())
    return { commit: cached.commit, folder: cached.folder, file }
  }
  if (hub.isOffline) throw offline(name, cached && name.file !== undefined ? [name.file] : undefined)
  const choose = ({ files }: Listing): readonly string[] => dataFiles(name, files)
  const { commit, folder, files } = await fetchFiles(hub, { repo: name, choose }, show)
  return { commit, folder, file: files[0] }
}

function offline(name: HubName, missing: readonly string[] | undefined): UserError {
  const what = missing === undefined ? '' : `: ${missing.join(', ')}`
  const kind = name.type === 'dataset' ? ' --repo_type dataset' : ''
  const revision = name.revision === 'main' ? '' : ` --revision ${name.revision}`
  return new UserError(
    `${subjectOf(name)} is not in the Hugging Face cache${what}, and HF_HUB_OFFLINE is set. Where there is a network: ` +
      `stepdpo download ${name.id}${name.file === undefined ? '' : ` ${name.file}`}${kind}${revision}`,
  )
}
