/** @file What a name of the Hugging Face Hub means: `org/name[@revision][/file]` (`%2F` for a slash of a revision), `hf://datasets/org/name/file`. */
import { basename, resolve, sep } from 'node:path'
import { UserError } from '../base/errors.ts'

export type RepoType = 'model' | 'dataset'

export interface Repo {
  readonly type: RepoType
  /** `org/name` */
  readonly id: string
  /** A branch, a tag or a commit. */
  readonly revision: string
}

export interface HubName extends Repo {
  /** One file of it. */
  readonly file?: string
}

const SHAPE = /^([^/@:]+\/[^/@:]+)(?:@(refs\/(?:pr|convert)\/[\w.-]+|[^/@:]+))?(?:\/([^@]+))?$/
const PART = /^[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?$/
const FILE_ENDING = /\.(jsonl|ndjson|json|parquet|gz|gguf|safetensors|ya?ml|csv|txt)$/i

/**
 * The parts of a name of the Hub; undefined for what cannot be one, such as `./folder` or `data/steps.jsonl`. After
 * `hf://` nothing else can be meant.
 * @throws UserError for an `hf://` name that is none.
 */
export function parseHubName(text: string, type: RepoType): HubName | undefined {
  if (!text.startsWith('hf://')) return parsePlain(text, type)
  const [, kind, rest] = /^hf:\/\/(?:(models|datasets)\/)?(.*)$/s.exec(text) ?? []
  const name = parsePlain(rest, kind === 'datasets' ? 'dataset' : 'model')
  if (name !== undefined) return name
  throw new UserError(`${text}: expected hf://org/name[@revision][/file], or hf://datasets/org/name[@revision][/file]`)
}

function parsePlain(text: string, type: RepoType): HubName | undefined {
  const [, id, encoded = 'main', file] = SHAPE.exec(text) ?? []
  const revision = encoded.replace(/%2f/gi, '/') // as huggingface_hub has it in hf:// paths
  if (id === undefined || !isRepoId(id) || !isRevision(revision)) return undefined
  if (file === undefined) return FILE_ENDING.test(id) ? undefined : { type, id, revision }
  return isRepoPath(file) ? { type, id, revision, file } : undefined
}

/** The rules of huggingface_hub (`validate_repo_id`), for names with an organisation or a user. */
export function isRepoId(id: string): boolean {
  const parts = id.split('/')
  return parts.length === 2 && parts.every((part) => PART.test(part)) && !/--|\.\.|\.git$/.test(id)
}

export function isRevision(revision: string): boolean {
  return /^[\w.+-][\w.+/-]{0,199}$/.test(revision) && revision.split('/').every((part) => !/^\.{0,2}$/.test(part))
}

/** Whether a file's name in a repository is also safe below a folder of ours: relative, and of plain parts. */
export function isRepoPath(path: string): boolean {
  if (path.length > 1000 || /[\p{Cc}\\]/u.test(path)) return false
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

/** Whether a system can have a file of that name: on Windows, what follows a colon is a part of another file. */
export function isPlaceable(path: string, platform: NodeJS.Platform = process.platform): boolean {
  return platform !== 'win32' || !path.includes(':')
}

/** The name on the Hub of what is at a path of its cache; undefined for other paths. */
export function hubTitle(path: string): string | undefined {
  const parts = resolve(path).split(sep).join('/')
  const place = /\/(?:models|datasets)--([^/]+?)--([^/]+)\/snapshots\/[0-9a-f]{40}(\/.+)?$/
  const [, owner, name, file = ''] = place.exec(parts) ?? []
  return owner === undefined ? undefined : `${owner}/${name}${file}`
}

/** What people call a model or a data set at a path: its name on the Hub, or else that of the folder or file. */
export function titleOf(path: string): string {
  return hubTitle(path) ?? basename(resolve(path))
}
