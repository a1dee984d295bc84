/**
 * @file A hub on this machine: the routes of huggingface.co that downloads and uploads use, with large files on a second
 * port as on its CDN. It notes every request, and fails as it is told.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface HubFile {
  readonly bytes: Buffer
  /** In Git LFS: named by SHA-256, and sent from the CDN. */
  readonly isLarge: boolean
}

export interface HubRepo {
  commit: string
  readonly files: Map<string, HubFile>
  readonly isGated?: boolean
  /** Beside `main` and `work`. */
  readonly branch?: string
  /** Names that the listing has beside those of the files. */
  readonly oddNames?: readonly string[]
}

export interface Noted {
  readonly method: string
  readonly path: string
  readonly place: 'hub' | 'cdn'
  readonly authorization: string | undefined
  readonly range: string | undefined
  readonly body: Buffer
}

export interface HubServer {
  readonly address: string
  readonly cdnAddress: string
  /** By `models/org/name` or `datasets/org/name`. */
  readonly repos: Map<string, HubRepo>
  readonly requests: Noted[]
  /** What befalls a request before it is answered; true where that was all of it. */
  trouble: (request: Noted, response: ServerResponse) => boolean
  /** How many bytes of an answer of the CDN are sent before the connection breaks. */
  cut: (request: Noted) => number | undefined
  /** How large parts of uploads are; whole files without it. */
  partBytes: number | undefined
  close(): Promise<void>
}

export const TOKEN = 'hf_abcdefghijklmnopqrstuvwxyz012345'

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function etagOf({ bytes, isLarge }: HubFile): string {
  return isLarge ? sha256Of(bytes) : createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
}

export function small(text: string): HubFile {
  return { bytes: Buffer.from(text), isLarge: false }
}

export async function startHub(): Promise<HubServer> {
  const uploads = new Map<string, Buffer>()
  const hub = createServer((request, response) => void serve(request, response, 'hub'))
  const cdn = createServer((request, response) => void serve(request, response, 'cdn'))
  const [address, cdnAddress] = await Promise.all([listen(hub), listen(cdn)])
  const state: HubServer = {
    address,
    cdnAddress,
    repos: new Map(),
    requests: [],
    trouble: () => false,
    cut: () => undefined,
    partBytes: undefined,
    close: async () => {
      for (const server of [hub, cdn]) {
        server.closeAllConnections()
        await new Promise((done) => server.close(done))
      }
    },
  }
  const serve = async (request: IncomingMessage, response: ServerResponse, place: 'hub' | 'cdn'): Promise<void> => {
    const noted = await note(request, place)
    state.requests.push(noted)
    if (state.trouble(noted, response)) return
    const answer = place === 'cdn' ? answerCdn : answerHub
    answer(state, noted, response, uploads)
  }
  return state
}

async function note(request: IncomingMessage, place: 'hub' | 'cdn'): Promise<Noted> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const { method = '', url = '', headers } = request
  const { authorization, range } = headers
  return { method, path: decodeURIComponent(url), place, authorization, range, body: Buffer.concat(chunks) }
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      resolve(`http://127.0.0.1:${port}`)
    })
  })
}

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'x-error-code': code, 'x-error-message': `refused: ${code}` }).end()
}

type Answer = (hub: HubServer, request: Noted, response: ServerResponse, uploads: Map<string, Buffer>) => void

const answerHub: Answer = (hub, request, response, uploads) => {
  for (const [pattern, answer] of ROUTES) {
    const match = pattern.exec(`${request.method} ${request.path}`)
    if (match !== null) return answer(hub, { ...request, groups: match.groups ?? {} }, response, uploads)
  }
  refuse(response, 404, '')
}

type Routed = Noted & { readonly groups: Readonly<Record<string, string>> }
type Route = (hub: HubServer, request: Routed, response: ServerResponse, uploads: Map<string, Buffer>) => void

/** The repository at a revision, where this request may see it; otherwise the refusal is sent. */
function find(hub: HubServer, { groups, authorization }: Routed, response: ServerResponse): HubRepo | undefined {
  const repo = hub.repos.get(`${groups['type'] ?? 'models'}/${groups['id']}`)
  if (repo === undefined) refuse(response, authorization === undefined ? 401 : 404, 'RepoNotFound')
  else if (repo.isGated && authorization !== `Bearer ${TOKEN}`) refuse(response, 401, 'GatedRepo')
  else if (!['main', 'work', repo.branch, repo.commit].includes(groups['revision']))
    refuse(response, 404, 'RevisionNotFound')
  else return repo
  return undefined
}

const list: Route = (hub, request, response) => {
  const repo = find(hub, request, response)
  if (repo === undefined) return
  const names = [...repo.files.keys(), ...(repo.oddNames ?? [])]
  json(response, {
    id: request.groups['id'],
    sha: repo.commit,
    private: false,
    siblings: names.map((rfilename) => ({ rfilename })),
  })
}

const resolve: Route = (hub, request, response) => {
  const repo = find(hub, request, response)
  const file = repo?.files.get(request.groups['file'])
  if (repo === undefined) return
  if (file === undefined) return refuse(response, 404, 'EntryNotFound')
  const etag = etagOf(file)
  response.setHeader('x-repo-commit', repo.commit)
  if (!file.isLarge) return sendRange(response, request, file)
  response.setHeader('x-linked-etag', `"${etag}"`).setHeader('x-linked-size', file.bytes.length)
  response.setHeader('location', `${hub.cdnAddress}/${etag}?signature=secret`).writeHead(302).end()
}

function sendRange(response: ServerResponse, request: Noted, file: HubFile, cut?: number): void {
  const { bytes } = file
  const from = Number(/^bytes=(\d+)-/.exec(request.range ?? '')?.[1] ?? 0)
  if (from > 0 && from >= bytes.length) return void response.writeHead(416).end()
  if (from > 0) response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`)
  const rest = bytes.subarray(from)
  response.writeHead(from > 0 ? 206 : 200, { etag: `"${etagOf(file)}"`, 'content-length': rest.length })
  if (request.method === 'HEAD') return void response.end()
  if (cut === undefined || cut >= rest.length) return void response.end(rest)
  response.write(rest.subarray(0, cut), () => response.destroy())
}

const answerCdn: Answer = (hub, request, response, uploads) => {
  const [, name] = /^\/([^?]+)/.exec(request.path) ?? []
  if (request.method === 'PUT') {
    uploads.set(name, request.body)
    return void response.writeHead(200, { etag: `"${sha256Of(request.body)}"` }).end()
  }
  const all = [...hub.repos.values()].flatMap(({ files }) => [...files.values()])
  const file = all.find((candidate) => candidate.isLarge && etagOf(candidate) === name)
  if (file === undefined) return refuse(response, 404, '')
  sendRange(response, request, file, hub.cut(request))
}

const create: Route = (hub, request, response) => {
  const { name, organization, type } = JSON.parse(request.body.toString())
  const key = `${type}s/${organization}/${name}`
  if (hub.repos.has(key)) return json(response, { error: 'You already created this model repo' }, 409)
  hub.repos.set(key, { commit: '0'.repeat(40), files: new Map() })
  json(response, { url: `${hub.address}/${organization}/${name}` })
}

const preupload: Route = (_hub, request, response) => {
  const { files } = JSON.parse(request.body.toString())
  const modes = files.map(({ path }: { path: string }) => ({
    path,
    uploadMode: path.endsWith('.safetensors') ? 'lfs' : 'regular',
    shouldIgnore: false,
  }))
  json(response, { files: modes })
}

const batch: Route = (hub, request, response) => {
  const { objects } = JSON.parse(request.body.toString())
  const { partBytes } = hub
  const upload = ({ oid, size }: { oid: string; size: number }) => {
    if (partBytes === undefined) return { href: `${hub.cdnAddress}/${oid}` }
    const parts = Array.from({ length: Math.ceil(size / partBytes) }, (_, index) => index + 1)
    const addresses = Object.fromEntries(parts.map((part) => [`${part}`, `${hub.cdnAddress}/${oid}.${part}`]))
    return { href: `${hub.address}/complete`, header: { chunk_size: `${partBytes}`, ...addresses } }
  }
  json(response, {
    transfer: partBytes === undefined ? 'basic' : 'multipart',
    objects: objects.map((object: { oid: string; size: number }) => ({
      ...object,
      actions: { upload: upload(object) },
    })),
  })
}

const complete: Route = (_hub, request, response, uploads) => {
  const { oid, parts } = JSON.parse(request.body.toString())
  const bytes = parts.map(({ partNumber, etag }: { partNumber: number; etag: string }) => {
    const part = uploads.get(`${oid}.${partNumber}`)
    return part !== undefined && etag === `"${sha256Of(part)}"` ? part : Buffer.from('lost')
  })
  uploads.set(oid, Buffer.concat(bytes))
  json(response, {})
}

const commit: Route = (hub, request, response, uploads) => {
  const repo = find(hub, { ...request, groups: { revision: 'main', ...request.groups } }, response)
  if (repo === undefined) return
  if (request.authorization !== `Bearer ${TOKEN}`) return refuse(response, 403, '')
  for (const line of request.body.toString().trim().split('\n')) {
    const { key, value } = JSON.parse(line)
    if (key === 'file') repo.files.set(value.path, { bytes: Buffer.from(value.content, 'base64'), isLarge: false })
    if (key !== 'lfsFile') continue
    const bytes = uploads.get(value.oid)
    // As the Hub: a commit may only name what has been uploaded whole.
    if (bytes === undefined || sha256Of(bytes) !== value.oid) return json(response, { error: 'no such object' }, 400)
    repo.files.set(value.path, { bytes, isLarge: true })
  }
  repo.commit = sha256Of(request.body).slice(0, 40)
  json(response, { commitOid: repo.commit, commitUrl: `${hub.address}/commit`, hookOutput: '' })
}

const ID = '(?<id>[^/]+/[^/]+)'
const ROUTES: readonly (readonly [RegExp, Route])[] = [
  [new RegExp(`^GET /api/(?<type>models|datasets)/${ID}/revision/(?<revision>[^?]+)`), list],
  [new RegExp(`^(?:GET|HEAD) /(?:(?<type>datasets)/)?${ID}/resolve/(?<revision>[^/]+)/(?<file>[^?]+)`), resolve],
  [/^POST \/api\/repos\/create$/, create],
  [new RegExp(`^POST /api/models/${ID}/branch/`), (_hub, _request, response) => json(response, {})],
  [new RegExp(`^POST /api/models/${ID}/preupload/`), preupload],
  [new RegExp(`^POST /${ID}\\.git/info/lfs/objects/batch$`), batch],
  [/^POST \/complete$/, complete],
  [new RegExp(`^POST /api/models/${ID}/commit/(?<revision>[^?]+)`), commit],
]
