/** @file Which files of a repository of the Hub a model, an adapter or a data set needs, and whether they are there. */
import { UserError } from '../base/errors.ts'
import type { Snapshot } from '../interop/hub-cache.ts'
import { NotFoundError } from '../interop/hub-http.ts'
import { type HubName, isRepoPath } from '../interop/hub-name.ts'
import { listFiles, subjectOf } from '../interop/hub-repo.ts'

export const INDEX = 'model.safetensors.index.json'
const CONFIG = 'config.json'
const ADAPTER_CONFIG = 'adapter_config.json'
const ADAPTER_WEIGHTS = 'adapter_model.safetensors'
const WEIGHTS = 'model.safetensors'
const DATA_FILE = /\.(jsonl|ndjson|json|parquet)(\.gz)?$/i
/** Describe a data set, and hold none of it. */
const NOT_DATA = /(^|\/)(dataset_infos?|\.[^/]*)(\.json)?$/i

/** What stands beside the weights, where it is there. */
export const COMPANIONS: readonly string[] = [
  CONFIG,
  ADAPTER_CONFIG,
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'chat_template.jinja',
  'stepdpo_prm.json',
]

/** The files of a model or an adapter, in the order in which they are fetched: what is there with the weights is whole. */
export function modelFiles(name: HubName, files: readonly string[]): readonly string[] {
  if (name.file !== undefined) return oneFile(name, files)
  const known = new Set(files)
  const small = COMPANIONS.filter((file) => known.has(file))
  if (known.has(ADAPTER_CONFIG) && known.has(ADAPTER_WEIGHTS)) return [...small, ADAPTER_WEIGHTS]
  if (known.has(CONFIG) && known.has(INDEX)) return [...small, INDEX]
  if (known.has(CONFIG) && known.has(WEIGHTS)) return [...small, WEIGHTS]
  const ggufs = files.filter((file) => /\.gguf$/i.test(file))
  const advice = ggufs.length > 0 ? ` Name one of its files: ${name.id}/${ggufs[0]}.` : ''
  throw new NotFoundError(
    `${subjectOf(name)}: expected config.json with ${WEIGHTS} or ${INDEX}, or an adapter.${advice} ${listFiles(files)}`,
  )
}

/** The data file that is named, or the only one. */
export function dataFiles(name: HubName, files: readonly string[]): readonly string[] {
  if (name.file !== undefined) return oneFile(name, files)
  const data = dataNames(files)
  if (data.length === 1) return data
  const found = data.length === 0 ? `none. ${listFiles(files)}` : `${data.length}: ${data.slice(0, 20).join(', ')}`
  const advice = data.length === 0 ? '' : `. Name one: ${name.id}/${data[0]}`
  throw new NotFoundError(`${subjectOf(name)}: expected one .jsonl, .json or .parquet file, found ${found}${advice}`)
}

export function dataNames(files: readonly string[]): readonly string[] {
  return files.filter((file) => DATA_FILE.test(file) && !NOT_DATA.test(file))
}

function oneFile(name: HubName, files: readonly string[]): readonly string[] {
  if (name.file !== undefined && files.includes(name.file)) return [name.file]
  throw new NotFoundError(`${subjectOf(name)}: there is no file ${name.file}. ${listFiles(files)}`)
}

/** The files of weights that an index names. @throws UserError for an index that is none. */
export function shardsOf(index: unknown, name: HubName): readonly string[] {
  const map = typeof index === 'object' && index !== null && 'weight_map' in index ? index.weight_map : undefined
  const shards = typeof map === 'object' && map !== null ? [...new Set(Object.values(map))] : []
  const isSafe = (shard: unknown): shard is string => typeof shard === 'string' && isRepoPath(shard)
  if (shards.length > 0 && shards.every(isSafe)) return shards
  throw new UserError(`${subjectOf(name, INDEX)}: expected a weight_map from tensors to files, found something else`)
}

/** Which files a model still lacks in the cache. A configuration and all weights are a model. */
export function missingFiles(name: HubName, snapshot: Snapshot, readIndex: () => unknown): string[] {
  const lacking = (files: readonly string[]): string[] => files.filter((file) => !snapshot.has(file))
  if (name.file !== undefined) return lacking([name.file])
  if (snapshot.has(ADAPTER_CONFIG)) return lacking([ADAPTER_WEIGHTS])
  if (snapshot.has(CONFIG) && snapshot.has(INDEX)) return lacking(shardsOf(readIndex(), name))
  return lacking([CONFIG, WEIGHTS])
}

/** What may stand beside the weights and is not in the cache, where nobody has asked yet whether it exists. */
export function unknownCompanions(snapshot: Snapshot): string[] {
  return COMPANIONS.filter((file) => !snapshot.has(file) && !snapshot.lacks(file))
}
