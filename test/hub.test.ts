/** Downloads and uploads against a hub on this machine (hub-server.ts). */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { writeTinyModel } from '../scripts/tiny-model.ts'
import { UserError } from '../src/base/errors.ts'
import { random } from '../src/base/random.ts'
import { openHubView } from '../src/cli/hub-view.ts'
import { main } from '../src/cli/main.ts'
import { type Hub, openHub } from '../src/interop/hub-access.ts'
import type { Clock } from '../src/judge/clock.ts'
import { loadModel } from '../src/model/load.ts'
import { download } from '../src/recipe/download.ts'
import type { HubEvent } from '../src/recipe/hub-files.ts'
import { cachedModel, resolveName, resolveNames } from '../src/recipe/hub-names.ts'
import { downloadSchema, pushSchema } from '../src/recipe/hub-settings.ts'
import { locateModel } from '../src/recipe/local-model.ts'
import { push } from '../src/recipe/push.ts'
import { StepwiseDPOTrainer } from '../src/recipe/trainer.ts'
import { loadTokenizer } from '../src/text/tokenizer.ts'
import { buildCommand } from './cli-run.ts'
import { etagOf, type HubFile, type HubRepo, type HubServer, sha256Of, small, startHub, TOKEN } from './hub-server.ts'
import { isSlow } from './slow.ts'

const COMMIT = '0123456789abcdef0123456789abcdef01234567'
const root = mkdtempSync(join(tmpdir(), 'stepdpo-hub-'))
let server: HubServer
let home = ''
let waits: number[] = []

/** Does not wait, and notes how long it was to. */
const clock: Clock = {
  milliseconds: () => 0,
  sleep: async (delayMs, signal) => {
    signal.throwIfAborted()
    waits.push(delayMs)
    await new Promise((wake) => setImmediate(wake))
  },
}

beforeAll(async () => {
  server = await startHub()
})
afterAll(async () => {
  await server.close()
  rmSync(root, { recursive: true, force: true })
})
beforeEach(() => {
  home = mkdtempSync(join(root, 'home-'))
  waits = []
  server.repos.clear()
  server.requests.length = 0
  server.trouble = () => false
  server.cut = () => undefined
  server.partBytes = undefined
})

function hubFor(
  environment: Record<string, string> = {},
  signal = new AbortController().signal,
  parts: Partial<Hub> = {},
): Hub {
  return openHub({ HF_ENDPOINT: server.address, HF_HOME: home, ...environment }, signal, { clock, ...parts })
}

/** Bytes without a pattern. */
function large(size: number, seed = 0): HubFile {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, index) => sha256Of(Buffer.from(`${seed} ${index}`)))
  return { bytes: Buffer.from(blocks.join(''), 'hex').subarray(0, size), isLarge: true }
}

function addRepo(key: string, files: Record<string, HubFile>, more: Partial<HubRepo> = {}): HubRepo {
  const repo = { commit: COMMIT, files: new Map(Object.entries(files)), ...more }
  server.repos.set(key, repo)
  return repo
}

function get(repo: string, more: object = {}, hub = hubFor(), show: (event: HubEvent) => unknown = () => {}) {
  return download(downloadSchema.parse({ repo, ...more }), hub, show)
}

function resolved(text: string, type: 'model' | 'dataset', hub = hubFor()): Promise<string> {
  return resolveName(text, type, { open: () => hub, show: () => {}, tell: () => {} })
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

const cdnRequests = () => server.requests.filter(({ place }) => place === 'cdn')

test('a download makes the folders, names and links that huggingface_hub makes', async () => {
  const weights = large(1000)
  const config = small('{}')
  addRepo('models/org/name', { 'config.json': config, 'sub/model.safetensors': weights })
  const { folder, bytes } = await get('org/name')
  const repo = join(home, 'hub/models--org--name')
  expect(folder).toBe(join(repo, 'snapshots', COMMIT))
  expect(bytes).toBe(1002)
  // git hash-object of "{}" without a line end
  expect(etagOf(config)).toBe('9e26dfeeb6e641a33dae4961196235bdb965b21b')
  const absent = join(repo, '.no_exist', COMMIT)
  expect(filesIn(absent)).toContain('tokenizer.json') // of a model, so that no start asks again
  rmSync(join(repo, '.no_exist'), { recursive: true })
  expect(filesIn(repo)).toEqual(
    [
      `blobs/${etagOf(config)}`,
      `blobs/${sha256Of(weights.bytes)}`,
      'refs/main',
      `snapshots/${COMMIT}/config.json`,
      `snapshots/${COMMIT}/sub/model.safetensors`,
    ].sort(),
  )
  expect(readFileSync(join(repo, 'refs/main'), 'utf8')).toBe(COMMIT)
  expect(readlinkSync(join(folder, 'config.json'))).toBe(`../../blobs/${etagOf(config)}`)
  expect(readlinkSync(join(folder, 'sub/model.safetensors'))).toBe(`../../../blobs/${sha256Of(weights.bytes)}`)
  expect(readFileSync(join(folder, 'sub/model.safetensors')).equals(weights.bytes)).toBe(true)
  server.requests.length = 0
  await get('org/name')
  expect(server.requests.filter(({ method, path }) => method === 'GET' && path.includes('/resolve/'))).toEqual([])
})

test('a download that is cut again and again goes on at the byte where it was, and no byte comes twice', async () => {
  const file = large(isSlow ? 3_000_000 : 300_000)
  addRepo('models/org/name', { 'model.safetensors': file })
  const draw = random(1, 'cuts')
  for (let round = 0; round < (isSlow ? 30 : 3); round++) {
    server.requests.length = 0
    server.cut = () => (cdnRequests().length < 12 ? Math.floor(draw.uniform() * 60_000) : undefined)
    let came = 0
    const { folder } = await get('org/name', { local_dir: mkdtempSync(join(root, 'cut-')) }, hubFor(), (event) => {
      if (event.type === 'hub-progress') came = event.came
    })
    expect(readFileSync(join(folder, 'model.safetensors')).equals(file.bytes)).toBe(true)
    expect(came).toBe(file.bytes.length)
    const starts = cdnRequests().map(({ range }) => Number(/\d+/.exec(range ?? '0')))
    expect(starts).toEqual([...starts].sort((a, b) => a - b))
    expect(new Set(starts).size).toBeGreaterThan(2)
  }
})

test('what was stopped goes on: by the next call, from what had come', async () => {
  const file = large(400_000)
  addRepo('models/org/name', { 'model.safetensors': file })
  const stop = new AbortController()
  server.cut = () => 150_000
  const stopped = get('org/name', {}, hubFor({}, stop.signal), (event) => {
    if (event.type === 'hub-progress' && event.done >= 100_000) stop.abort()
  })
  await expect(stopped).rejects.toThrow('abort')
  const partial = join(home, 'hub/models--org--name/blobs', `${etagOf(file)}.incomplete`)
  const kept = lstatSync(partial).size
  expect(kept).toBeGreaterThanOrEqual(100_000)
  server.requests.length = 0
  server.cut = () => undefined
  const { folder } = await get('org/name')
  expect(cdnRequests().map(({ range }) => range)).toEqual([`bytes=${kept}-`])
  expect(readFileSync(join(folder, 'model.safetensors')).equals(file.bytes)).toBe(true)
  expect(existsSync(partial)).toBe(false)
})

test('a beginning that is not of this file is thrown away, and the file comes whole', async () => {
  const file = large(5000)
  addRepo('models/org/name', { 'model.safetensors': file })
  const blobs = join(home, 'hub/models--org--name/blobs')
  mkdirSync(blobs, { recursive: true })
  writeFileSync(join(blobs, `${etagOf(file)}.incomplete`), Buffer.alloc(2000, 7))
  const { folder } = await get('org/name')
  expect(readFileSync(join(folder, 'model.safetensors')).equals(file.bytes)).toBe(true)
  expect(cdnRequests().map(({ range }) => range)).toEqual(['bytes=2000-', undefined])
})

test.each([
  ['model.safetensors', true],
  ['config.json', false],
])('%s with one wrong byte is refused, and nothing of it stays', async (name, isLarge) => {
  const file = { ...large(5000), isLarge }
  addRepo('models/org/name', { [name]: file })
  server.trouble = ({ method, path, place }, response) => {
    if (method !== 'GET' || (place === 'hub' && (isLarge || !path.includes('/resolve/')))) return false
    const wrong = Buffer.from(file.bytes)
    wrong[4321] ^= 1
    response.writeHead(200, { 'content-length': wrong.length }).end(wrong)
    return true
  }
  await expect(get('org/name')).rejects.toThrow(`${name}: what ${server.address} sent is not what its hash`)
  expect(filesIn(join(home, 'hub'))).toEqual([])
})

test('a file that is longer than was said is refused when it gets too long', async () => {
  const file = large(5000)
  addRepo('models/org/name', { 'model.safetensors': file })
  server.trouble = ({ place }, response) => {
    if (place === 'hub') return false
    response.writeHead(200).end(Buffer.concat([file.bytes, Buffer.alloc(9)]))
    return true
  }
  await expect(get('org/name')).rejects.toThrow('expected 5000 bytes')
})

test('a gated repository says what to do, and comes with the token of HF_TOKEN or of the token file', async () => {
  addRepo('models/org/gated', { 'config.json': small('{}') }, { isGated: true })
  await expect(get('org/gated')).rejects.toThrow(/gated; accept its terms .* then set HF_TOKEN/)
  await expect(get('org/gated', {}, hubFor({ HF_TOKEN: 'hf_someoneelses' }))).rejects.toThrow('account of the token')
  await get('org/gated', { local_dir: join(home, 'a') }, hubFor({ HF_TOKEN: TOKEN }))
  writeFileSync(join(home, 'token'), `${TOKEN}\n`)
  await get('org/gated', { local_dir: join(home, 'b') })
  expect(readFileSync(join(home, 'b/config.json'), 'utf8')).toBe('{}')
})

test('the token goes to the Hub and to no other host, and no error tells it', async () => {
  addRepo('models/org/name', { 'config.json': small('{}'), 'model.safetensors': large(100) })
  const hub = hubFor({ HF_TOKEN: TOKEN })
  await get('org/name', {}, hub)
  const sent = (place: string) =>
    new Set(server.requests.filter((one) => one.place === place).map((one) => one.authorization))
  expect(sent('hub')).toEqual(new Set([`Bearer ${TOKEN}`]))
  expect(sent('cdn')).toEqual(new Set([undefined]))
  server.trouble = ({ authorization }, response) => {
    response.writeHead(403, { 'x-error-message': `no access for ${authorization}` }).end()
    return true
  }
  const error = await get('org/name', {}, hub).catch((thrown: unknown) => thrown)
  expect(String(error)).toContain('403')
  expect(`${error} ${JSON.stringify(hub)}`).not.toContain(TOKEN.slice(3, 20))
})

test('what is not there is named: repository, revision, file', async () => {
  addRepo('models/org/name', { 'config.json': small('{}') })
  await expect(get('org/other')).rejects.toThrow('model org/other: http')
  await expect(get('org/other')).rejects.toThrow('it is not there, or private')
  await expect(get('org/name@v2')).rejects.toThrow('no such revision')
  await expect(get('org/name', { files: ['b.json'] })).rejects.toThrow('no file b.json. It has config.json')
  await expect(get('org/name', { include: ['*.bin'] })).rejects.toThrow('no file is left')
})

test('a busy server is waited for as long as it says, and not without end', async () => {
  addRepo('models/org/name', { 'config.json': small('{}') })
  server.trouble = (_request, response) => {
    if (server.requests.length > 2) return false
    response.writeHead(server.requests.length === 1 ? 429 : 503, { 'retry-after': '7' }).end()
    return true
  }
  await get('org/name')
  expect(waits).toEqual([7500, 8000])
  server.trouble = (_request, response) => void response.destroy() === undefined
  await expect(get('org/name')).rejects.toThrow('given up after 6 attempts')
  server.trouble = (_request, response) => {
    response.writeHead(429, { 'retry-after': '3600' }).end()
    return true
  }
  await expect(get('org/name')).rejects.toThrow('asks to wait 3600 s')
  // What is left of a quota is no reason to wait.
  const known = waits.length
  server.trouble = (_request, response) => {
    if (waits.length > known) return false
    response.writeHead(502, { ratelimit: '"api";r=487;t=281' }).end()
    return true
  }
  await get('org/name')
  expect(waits.slice(known)).toEqual([500])
})

test.each(['../../x', '/etc/x', 'a/../../x', 'a\\..\\x', 'a\0b', '', 'a//b', '.'])(
  'a repository that has a file %j is refused, and nothing is written',
  async (name) => {
    addRepo('models/org/name', { 'config.json': small('{}') }, { oddNames: [name] })
    await expect(get('org/name', { local_dir: join(home, 'out') })).rejects.toThrow('names of files inside')
    expect(filesIn(home)).toEqual([])
  },
)

test.each([
  ['an etag that is a path', { etag: '"../../x"', 'content-length': '3' }, 'expected its hash and size'],
  [
    'a size that is none',
    { etag: '"abc"', 'content-length': '3', 'x-linked-size': '1e99' },
    'expected its hash and size',
  ],
  ['a size that no disk has', { etag: '"abc"', 'x-linked-size': '999999999999999' }, '1000.0 TB are needed'],
  ['another commit', { etag: '"abc"', 'x-repo-commit': 'f'.repeat(40) }, `found ${'f'.repeat(40)}`],
])('%s is refused', async (_what, headers, message) => {
  addRepo('models/org/name', { 'config.json': small('{}') })
  server.trouble = ({ method }, response) =>
    method === 'HEAD' && void response.writeHead(200, headers).end() === undefined
  await expect(get('org/name')).rejects.toThrow(message)
  expect(filesIn(join(home, 'hub'))).toEqual([])
})

test('a listing without end, one that is no listing, and redirects in a circle end in an error', async () => {
  const answers: [string, (response: Parameters<HubServer['trouble']>[1]) => void][] = [
    ['redirects more than 5 times', (response) => response.writeHead(302, { location: '/again' }).end()],
    ['redirects to where', (response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end()],
    ['expected its commit and files', (response) => response.end('{"sha": "../x", "siblings": []}')],
    ['expected JSON', (response) => response.end('<html>')],
    [
      'over 64 MB',
      (response) => {
        const chunk = Buffer.alloc(1 << 22, 32)
        const more = (): void => {
          while (response.write(chunk));
        }
        response.on('drain', more)
        more()
      },
    ],
  ]
  for (const [message, answer] of answers) {
    server.trouble = (_request, response) => {
      answer(response)
      return true
    }
    await expect(get('org/name')).rejects.toThrow(message)
  }
})

test('two downloads of the same at once share the work', async () => {
  addRepo('models/org/name', { 'model.safetensors': large(200_000) })
  const seen: string[] = []
  const both = [0, 1].map(() => get('org/name', {}, hubFor(), ({ type }) => seen.push(type)))
  const [one, other] = await Promise.all(both)
  expect(one).toEqual(other)
  expect(cdnRequests()).toHaveLength(1)
  expect(seen).toContain('hub-notice')
})

test('where the system has no links the file itself is in the snapshot, and is not fetched again', async () => {
  const file = large(3000)
  addRepo('models/org/name', { 'model.safetensors': file })
  const link = (): never => {
    throw Object.assign(new Error('no'), { code: 'EPERM' })
  }
  const { folder } = await get('org/name', {}, { ...hubFor(), link })
  expect(lstatSync(join(folder, 'model.safetensors')).isFile()).toBe(true)
  expect(readFileSync(join(folder, 'model.safetensors')).equals(file.bytes)).toBe(true)
  await get('org/name', {}, { ...hubFor(), link })
  expect(cdnRequests()).toHaveLength(1)
})

test('patterns choose files as those of huggingface_hub do', async () => {
  const names = ['config.json', 'model.safetensors', 'onnx/model.onnx', 'onnx/deep/a.json', 'README.md']
  addRepo('models/org/name', Object.fromEntries(names.map((name) => [name, small(name)])))
  const chosen = async (more: object): Promise<readonly string[]> =>
    (await get('org/name', { ...more, local_dir: mkdtempSync(join(root, 'some-')) })).files
  // the same by fnmatch.fnmatch of Python
  expect(await chosen({ include: ['*.json'] })).toEqual(['config.json', 'onnx/deep/a.json'])
  expect(await chosen({ include: ['onnx/'] })).toEqual(['onnx/model.onnx', 'onnx/deep/a.json'])
  expect(await chosen({ exclude: ['*.json', 'README.??'] })).toEqual(['model.safetensors', 'onnx/model.onnx'])
  expect(await chosen({ files: ['README.md'] })).toEqual(['README.md'])
})

function addTinyModel(key: string): void {
  const folder = mkdtempSync(join(root, 'tiny-'))
  writeTinyModel(folder, 0)
  const files = readdirSync(folder).map((name) => {
    const bytes = readFileSync(join(folder, name))
    return [name, { bytes, isLarge: name.endsWith('.safetensors') }] as const
  })
  addRepo(key, { ...Object.fromEntries(files), 'pytorch_model.bin': large(10), 'README.md': small('# tiny') })
}

test('a model of the Hub is brought with what it needs only, loads, and needs no network the next time', async () => {
  addTinyModel('models/org/tiny')
  const path = await resolved('org/tiny', 'model')
  expect(filesIn(path)).toContain('model.safetensors')
  expect(filesIn(path)).not.toContain('pytorch_model.bin')
  expect(loadModel(path).config.layers).toBeGreaterThan(0)
  expect(loadTokenizer(path).encodeContinuation('1 + 1').length).toBeGreaterThan(0)
  server.requests.length = 0
  expect(await resolved('org/tiny', 'model')).toBe(path)
  expect(await resolved(`org/tiny@${COMMIT}`, 'model', hubFor({ HF_HUB_OFFLINE: '1' }))).toBe(path)
  expect(server.requests).toEqual([])
})

test('of a model in parts come the parts that its index names, and no others', async () => {
  const parts = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
  const index = small(JSON.stringify({ weight_map: { a: parts[0], b: parts[1], c: parts[0] } }))
  const others = { 'config.json': small('{}'), 'model.safetensors.index.json': index }
  const repo = addRepo('models/org/big', {
    ...others,
    [parts[0]]: large(9),
    [parts[1]]: large(8),
    'odd.safetensors': large(7),
  })
  const path = await resolved('org/big', 'model')
  expect(filesIn(path)).toEqual(['config.json', ...parts, 'model.safetensors.index.json'].sort())
  repo.files.set('model.safetensors.index.json', small('{"weight_map": {"a": "../../../x"}}'))
  repo.commit = 'b'.repeat(40)
  await expect(resolved(`org/big@${repo.commit}`, 'model')).rejects.toThrow('expected a weight_map')
})

test('a GGUF file and a data set are single files; where there are several, they are listed', async () => {
  addRepo('models/org/gguf', { 'a-Q4.gguf': large(5), 'a-Q8.gguf': large(6) })
  expect(await resolved('org/gguf/a-Q8.gguf', 'model')).toMatch(/a-Q8\.gguf$/)
  await expect(resolved('org/gguf', 'model')).rejects.toThrow('Name one of its files: org/gguf/a-Q4.gguf')
  addRepo('datasets/org/one', {
    'README.md': small(''),
    'dataset_infos.json': small('{}'),
    'd/train.jsonl': small('{}\n'),
  })
  expect(readFileSync(await resolved('org/one', 'dataset'), 'utf8')).toBe('{}\n')
  addRepo('datasets/org/two', { 'a.jsonl': small('1\n'), 'b.parquet': small('2') })
  await expect(resolved('org/two', 'dataset')).rejects.toThrow('found 2: a.jsonl, b.parquet. Name one: org/two/a.jsonl')
  expect(readFileSync(await resolved('hf://datasets/org/two/a.jsonl', 'model'), 'utf8')).toBe('1\n')
})

test('an existing path wins over the Hub, and a path that is mistyped does not go there', async () => {
  const back = process.cwd()
  process.chdir(home)
  try {
    mkdirSync('org/name', { recursive: true })
    const names = { base_model: 'org/name', adapter: 'org/nam', reward_model: ['gpt-4', 'local:org/name'] }
    expect(await resolveNames(names, { open: hubFor, show: () => {}, tell: () => {} })).toEqual(names)
    expect(server.requests).toEqual([])
  } finally {
    process.chdir(back)
  }
})

test('a judge that is an adapter on the Hub brings its base model, and finds it in the cache', async () => {
  addTinyModel('models/org/tiny')
  const config = small('{"base_model_name_or_path": "org/tiny"}')
  addRepo('models/org/prm', { 'adapter_config.json': config, 'adapter_model.safetensors': large(9) })
  const settings = { reward_model: ['arithmetic', 'implicit:org/prm'] }
  const { reward_model } = await resolveNames(settings, { open: hubFor, show: () => {}, tell: () => {} })
  const snapshots = join(home, 'hub/models--org--prm/snapshots', COMMIT)
  expect(reward_model).toEqual(['arithmetic', `implicit:${snapshots}`])
  vi.stubEnv('HF_HOME', home)
  try {
    expect(locateModel(snapshots)).toEqual({
      adapter: snapshots,
      base_model: join(home, 'hub/models--org--tiny/snapshots', COMMIT),
    })
  } finally {
    vi.unstubAllEnvs()
  }
})

test('offline, what is missing is named with the command that gets it, and nobody is asked', async () => {
  const hub = hubFor({ HF_HUB_OFFLINE: '1' })
  await expect(resolved('org/name@v1', 'model', hub)).rejects.toThrow('stepdpo download org/name --revision v1')
  await expect(resolved('org/set/a.jsonl', 'dataset', hub)).rejects.toThrow(
    'stepdpo download org/set a.jsonl --repo_type dataset',
  )
  const snapshot = join(home, 'hub/models--org--half/snapshots', COMMIT)
  mkdirSync(snapshot, { recursive: true })
  writeFileSync(join(snapshot, 'config.json'), '{}')
  await expect(resolved(`org/half@${COMMIT}`, 'model', hub)).rejects.toThrow('Face cache: model.safetensors, and')
  expect(server.requests).toEqual([])
})

test('the trainer in TypeScript takes names of the Hub', async () => {
  addTinyModel('models/org/tiny')
  addRepo('datasets/org/set', { 'pairs.jsonl': small('{}\n') })
  vi.stubEnv('HF_ENDPOINT', server.address).stubEnv('HF_HOME', home)
  try {
    const { settings } = await StepwiseDPOTrainer.create({ baseModel: 'org/tiny', trainDataset: 'org/set/pairs.jsonl' })
    expect(settings.base_model).toBe(join(home, 'hub/models--org--tiny/snapshots', COMMIT))
    expect(readFileSync(settings.dataset_path, 'utf8')).toBe('{}\n')
    expect(cachedModel('org/tiny', process.env)).toBe(settings.base_model)
  } finally {
    vi.unstubAllEnvs()
  }
})

/** The cache as Python leaves it: nothing is known of what was not asked for. */
async function fetchByPython(key: string, files: readonly string[] = ['config.json', 'model.safetensors']) {
  const { folder } = await get(key, { files })
  rmSync(join(home, `hub/models--${key.replace('/', '--')}/.no_exist`), { recursive: true })
  server.requests.length = 0
  return folder
}

const refOf = (name: string): string => readFileSync(join(home, `hub/models--org--${name}/refs/main`), 'utf8')

test('a model in the cache is used as it is: what may stand beside it is asked for once, at its commit, and the branch stays', async () => {
  addTinyModel('models/org/tiny')
  const folder = await fetchByPython('org/tiny')
  const repo = server.repos.get('models/org/tiny')
  const moved = { commit: 'b'.repeat(40), files: new Map([['config.json', small('{"new": 1}')]]) }
  server.repos.set('models/org/tiny', { ...moved, ...{ commit: COMMIT, files: repo?.files ?? moved.files } })
  expect(await resolved('org/tiny', 'model')).toBe(folder)
  const paths = server.requests.map(({ path }) => path)
  expect(paths[0]).toBe(`/api/models/org/tiny/revision/${COMMIT}`)
  expect(paths.filter((path) => path.includes('main'))).toEqual([])
  expect(filesIn(folder)).toContain('tokenizer.json')
  server.requests.length = 0
  server.repos.set('models/org/tiny', moved)
  expect(await resolved('org/tiny', 'model')).toBe(folder)
  expect(server.requests).toEqual([])
  expect(refOf('tiny')).toBe(COMMIT)
})

test('after a download by command a model is not asked for again, and does not move', async () => {
  addTinyModel('models/org/tiny')
  const { folder } = await get('org/tiny')
  const repo = server.repos.get('models/org/tiny')
  if (repo !== undefined) repo.commit = 'b'.repeat(40)
  server.requests.length = 0
  expect(await resolved('org/tiny', 'model')).toBe(folder)
  expect(server.requests).toEqual([])
  expect(refOf('tiny')).toBe(COMMIT)
  await get('org/tiny')
  expect(refOf('tiny')).toBe('b'.repeat(40))
})

test('where the Hub gives no answer about what stands beside it, a model is used after one attempt, and a line says so', async () => {
  addTinyModel('models/org/tiny')
  const folder = await fetchByPython('org/tiny')
  const notices: string[] = []
  const use = async (): Promise<string> =>
    resolveName('org/tiny', 'model', {
      open: () => hubFor({}, undefined, { patience: { attempts: 6, headersMs: 50, silenceMs: 50 } }),
      show: (event) => event.type === 'hub-notice' && notices.push(event.message),
      tell: () => {},
    })
  server.trouble = (_request, response) => void response.destroy() === undefined
  expect(await use()).toBe(folder)
  server.trouble = () => true // no answer at all
  expect(await use()).toBe(folder)
  expect(server.requests).toHaveLength(2)
  expect(waits).toEqual([])
  expect(notices).toEqual([
    expect.stringMatching(/^model org\/tiny: used as it is in the cache; .*no whole answer/),
    expect.stringContaining('nothing came for 0.05 s'),
  ])
})

test('a model of which a part is in the cache comes whole at that commit; what that commit has not says how to get it', async () => {
  addTinyModel('models/org/tiny')
  const folder = await fetchByPython('org/tiny', ['config.json'])
  expect(await resolved('org/tiny', 'model')).toBe(folder)
  expect(filesIn(folder)).toContain('model.safetensors')
  expect(server.requests.filter(({ path }) => path.includes('main'))).toEqual([])
  await expect(resolved('org/tiny/x.gguf', 'model')).rejects.toThrow(
    /no file x\.gguf.* bring it up to date: stepdpo download org\/tiny x\.gguf$/,
  )
})

/** Runs as somebody who may read the cache and write nothing of it. */
async function readingOnly<T>(work: () => Promise<T>): Promise<T> {
  const folders = [
    root,
    home,
    ...readdirSync(home, { recursive: true, encoding: 'utf8' }).map((name) => join(home, name)),
  ]
  const modes = folders.map((path) => lstatSync(path)).map((stat) => (stat.isDirectory() ? stat.mode : undefined))
  for (const [at, mode] of modes.entries()) if (mode !== undefined) chmodSync(folders[at], 0o555)
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65534)
  try {
    return await work()
  } finally {
    if (isRoot) process.seteuid?.(0)
    for (const [at, mode] of modes.entries()) if (mode !== undefined) chmodSync(folders[at], mode)
  }
}

test.skipIf(process.platform === 'win32')(
  'a cache that cannot be written is enough for what is whole in it',
  async () => {
    addTinyModel('models/org/tiny')
    addRepo('datasets/org/set', { 'pairs.jsonl': small('{}\n') })
    const folder = await fetchByPython('org/tiny')
    const data = await resolved('org/set', 'dataset')
    await readingOnly(async () => {
      expect(await resolved('org/tiny', 'model')).toBe(folder)
      expect(await resolved('org/set', 'dataset')).toBe(data)
      expect((await get('org/tiny', { files: ['config.json'] })).folder).toBe(folder)
      await expect(get('org/tiny')).rejects.toThrow(/may not be written: set HF_HOME .* \(EACCES\)/)
      await expect(get('org/tiny')).rejects.toBeInstanceOf(UserError)
      await expect(get('org/tiny', { local_dir: join(home, 'out') })).rejects.toBeInstanceOf(UserError)
    })
  },
)

test('offline, the command answers from the cache, or names what is missing', async () => {
  addTinyModel('models/org/tiny')
  const offline = hubFor({ HF_HUB_OFFLINE: '1' })
  await expect(get('org/tiny', {}, offline)).rejects.toThrow('Where there is a network: stepdpo download org/tiny')
  const { folder } = await get('org/tiny', { files: ['config.json'] })
  server.requests.length = 0
  const notices: string[] = []
  const hear = (event: HubEvent): unknown => event.type === 'hub-notice' && notices.push(event.message)
  expect(await get('org/tiny', { files: ['config.json'] }, offline, hear)).toMatchObject({ folder, commit: COMMIT })
  expect(await get('org/tiny', { include: ['*.json'] }, offline, hear)).toMatchObject({ files: ['config.json'] })
  expect(notices[1]).toContain('1 files are in the cache; whether the repository has more is not known')
  await expect(get('org/tiny', { files: ['config.json', 'README.md'] }, offline)).rejects.toThrow(
    /Face cache: README\.md, and .*: stepdpo download org\/tiny config\.json README\.md$/,
  )
  await expect(get('org/tiny', {}, offline)).rejects.toThrow('Face cache: model.safetensors, and')
  expect(server.requests).toEqual([])
  const whole = await get('org/tiny')
  const again = await get('org/tiny', {}, offline)
  expect(again).toEqual({ ...whole, files: [...whole.files].sort() })
})

test('a data set without a named file is used from the cache where the Hub cannot be reached, and a line says so', async () => {
  addRepo('datasets/org/set', { 'pairs.jsonl': small('{}\n'), 'README.md': small('') })
  const path = await resolved('org/set', 'dataset')
  const notices: string[] = []
  const show = (event: HubEvent): unknown => event.type === 'hub-notice' && notices.push(event.message)
  server.trouble = (_request, response) => void response.destroy() === undefined
  expect(await resolveName('org/set', 'dataset', { open: hubFor, show, tell: () => {} })).toBe(path)
  expect(notices).toEqual([expect.stringContaining('dataset org/set: pairs.jsonl is used from the cache; ')])
  await expect(resolved('org/other', 'dataset')).rejects.toThrow('given up after 6 attempts')
  server.trouble = (_request, response) => {
    response.writeHead(403).end()
    return true
  }
  await expect(resolved('org/set', 'dataset')).rejects.toThrow('answers 403')
})

test('who is waited for is said, and a lock that nobody keeps fresh is left over', async () => {
  addRepo('models/org/name', { 'config.json': small('{}') })
  const lock = join(home, 'hub/.locks/models--org--name/run.lock')
  const owner = join(lock, '7_1_gone.example')
  mkdirSync(owner, { recursive: true })
  const notices: string[] = []
  await get('org/name', {}, hubFor(), (event) => {
    if (event.type !== 'hub-notice') return
    notices.push(event.message)
    const old = new Date(Date.now() - 121_000)
    utimesSync(owner, old, old)
  })
  expect(notices).toEqual([
    `process 7 on gone.example is downloading this; waiting for it. If it is gone, remove ${lock}`,
  ])
})

test.each([
  ['before the first byte of an answer', 'hub' as const, 'headersMs' as const],
  ['before the first byte of a file', 'cdn' as const, 'silenceMs' as const],
  ['within a file', 'cdn' as const, 'silenceMs' as const],
])('a connection that stalls %s is given up and tried again, and a line says so', async (when, place, limit) => {
  const file = large(5000)
  addRepo('models/org/name', { 'model.safetensors': file })
  const told: string[] = []
  let stalls = 1
  server.trouble = (request, response) => {
    if (request.place !== place || stalls === 0) return false
    stalls--
    if (when === 'within a file') response.writeHead(200).write(file.bytes.subarray(0, 2000))
    return true
  }
  const patience = { attempts: 6, headersMs: 20_000, silenceMs: 20_000, [limit]: 600 }
  const hub = hubFor({}, undefined, { patience, tell: (message) => told.push(message) })
  const { folder } = await get('org/name', {}, hub)
  expect(readFileSync(join(folder, 'model.safetensors')).equals(file.bytes)).toBe(true)
  expect(told).toEqual([expect.stringMatching(/^trying again in 0\.5 s: .*nothing came for 0\.6 s/)])
  if (when === 'within a file') expect(cdnRequests()[1].range).toBe('bytes=2000-')
})

test('times are those of huggingface_hub, and what is no time is refused', () => {
  expect(hubFor().patience).toEqual({ attempts: 6, headersMs: 10_000, silenceMs: 30_000 })
  const patience = hubFor({ HF_HUB_DOWNLOAD_TIMEOUT: '60', HF_HUB_ETAG_TIMEOUT: '3' }).patience
  expect(patience).toEqual({ attempts: 6, headersMs: 3000, silenceMs: 60_000 })
  expect(() => hubFor({ HF_HUB_DOWNLOAD_TIMEOUT: 'soon' })).toThrow('HF_HUB_DOWNLOAD_TIMEOUT: expected seconds')
})

test('the limits that huggingface.co announces are waited for, and an unknown host is looked for twice', async () => {
  addRepo('models/org/name', { 'config.json': small('{}') })
  server.trouble = (_request, response) => {
    if (server.requests.length > 1) return false
    response
      .writeHead(429, { ratelimit: '"api";r=0;t=55', 'ratelimit-policy': '"fixed window";"api";q=500;w=300' })
      .end()
    return true
  }
  await get('org/name')
  expect(waits).toEqual([55_500])
  waits = []
  const unknown = (): never => {
    throw new TypeError('fetch failed', { cause: Object.assign(new Error('no'), { code: 'ENOTFOUND' }) })
  }
  const hub = hubFor({}, undefined, { fetch: async () => unknown() })
  await expect(get('org/name', {}, hub)).rejects.toThrow('(ENOTFOUND) (given up after 2 attempts)')
  expect(waits).toEqual([500])
})

test('a name with a colon keeps nobody from the other files', async () => {
  const odd = 'results_2023-07-19T16:13:42.json'
  addRepo('datasets/org/set', { 'train.jsonl': small('{}\n'), [odd]: small('[]') })
  expect(readFileSync(await resolved('org/set/train.jsonl', 'dataset'), 'utf8')).toBe('{}\n')
  if (process.platform !== 'win32') expect(readFileSync(await resolved(`org/set/${odd}`, 'dataset'), 'utf8')).toBe('[]')
})

test('a revision with a slash can be said in a name', async () => {
  addRepo('models/org/name', { 'config.json': small('{}') }, { branch: 'feat/x' })
  await get('org/name@feat%2Fx')
  expect(server.requests[0].path).toBe('/api/models/org/name/revision/feat/x')
  expect(readFileSync(join(home, 'hub/models--org--name/refs/feat/x'), 'utf8')).toBe(COMMIT)
  await get('org/name', { revision: 'feat/x', local_dir: join(home, 'out') })
})

test('room is looked for before the first byte, for all that is missing', async () => {
  addRepo('models/org/name', { 'a.safetensors': large(2000), 'b.safetensors': large(3000, 1) })
  server.trouble = ({ method, path }, response) => {
    if (method !== 'HEAD') return false
    const size = path.includes('b.safe') ? '999999999999000' : '2000'
    response.writeHead(200, { etag: `"${path.includes('b.safe') ? 'b' : 'a'}bc"`, 'x-linked-size': size }).end()
    return true
  }
  await expect(get('org/name')).rejects.toThrow(/1000\.0 TB are needed and [\d.]+ [kMGT]?B free: make room/)
  expect(cdnRequests()).toEqual([])
})

test.skipIf(!existsSync('/dev/full'))('a disk that is full midway is said with the file and the folder', async () => {
  const file = large(5000)
  addRepo('models/org/name', { 'model.safetensors': file })
  const blobs = join(home, 'hub/models--org--name/blobs')
  mkdirSync(blobs, { recursive: true })
  symlinkSync('/dev/full', join(blobs, `${etagOf(file)}.incomplete`))
  const error = await get('org/name').catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(UserError)
  expect(String(error)).toMatch(
    /model\.safetensors, in .*snapshots.*: the disk is full: make room.*the same command goes on where it stopped \(ENOSPC\)/,
  )
})

function adapterFolder(base = 'org/base'): string {
  const folder = mkdtempSync(join(root, 'adapter-'))
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ base_model_name_or_path: base }))
  writeFileSync(join(folder, 'adapter_model.safetensors'), large(70_000, 3).bytes)
  writeFileSync(join(folder, 'README.md'), '# an adapter')
  writeFileSync(join(folder, 'trainer_state.json'), '{}')
  mkdirSync(join(folder, 'stepdpo'))
  return folder
}

test.each([undefined, 20_000])('what is pushed comes back byte for byte, in parts of %s bytes', async (partBytes) => {
  server.partBytes = partBytes
  const hub = hubFor({ HF_TOKEN: TOKEN })
  const folder = adapterFolder()
  const named: string[] = []
  const settings = pushSchema.parse({ folder, repo: 'org/mine', commit_message: 'First\nfor all' })
  const pushed = await push(
    settings,
    () => hub,
    (path) => named.push(path),
  )
  expect(pushed.commit).toMatch(/^[0-9a-f]{40}$/)
  expect(named).toContain('adapter_model.safetensors')
  expect(pushed.warnings).toEqual([])
  const back = await get('org/mine', { local_dir: join(home, 'back') })
  expect(back.commit).toBe(pushed.commit)
  expect(back.files).toHaveLength(3) // no state of the run
  for (const name of back.files) {
    expect(readFileSync(join(home, 'back', name)).equals(readFileSync(join(folder, name)))).toBe(true)
  }
  const commit = server.requests.find(({ path }) => path.includes('/commit/'))
  expect(JSON.parse(String(commit?.body).split('\n')[0]).value).toEqual({ summary: 'First', description: 'for all' })
  expect(new Set(cdnRequests().map(({ authorization }) => authorization))).toEqual(new Set([undefined]))
  await push(
    settings,
    () => hub,
    () => {},
  ) // the repository is there already
})

test('a push waits for a busy server, and refuses what is no result, no token, or a branch that is none', async () => {
  const folder = adapterFolder('/models/mine')
  const go = (more: object, environment: Record<string, string> = { HF_TOKEN: TOKEN }) =>
    push(
      pushSchema.parse({ folder, repo: 'org/mine', ...more }),
      () => hubFor(environment),
      () => {},
    )
  const dry = await go({ dry_run: true }, {})
  expect(dry).toMatchObject({ commit: null, warnings: [expect.stringContaining('/models/mine')] })
  expect(server.requests).toEqual([])
  await expect(go({}, {})).rejects.toThrow('set HF_TOKEN')
  await expect(go({ folder: root })).rejects.toThrow('found neither')
  await expect(go({ revision: '../x' })).rejects.toThrow('name of a branch')
  await expect(go({}, { HF_TOKEN: TOKEN, HF_HUB_OFFLINE: '1' })).rejects.toThrow('nothing is uploaded')
  server.trouble = ({ place }, response) =>
    place === 'cdn' && cdnRequests().length < 3 && void response.writeHead(503).end() === undefined
  expect((await go({ revision: 'work' })).commit).toMatch(/^[0-9a-f]{40}$/)
  expect(waits).toEqual([500, 1000])
  server.trouble = ({ path }, response) => path.includes('preupload') && void response.end('{}') === undefined
  await expect(go({})).rejects.toThrow(`model org/mine: ${server.address} answers`)
})

test('the view tells bytes, rate and what is left', () => {
  const lines: string[] = []
  let seconds = 0
  const show = openHubView({ write: (text: string) => lines.push(text) > 0, columns: 100 }, true, () => seconds)
  const repo = { type: 'model', id: 'org/name', revision: 'main' } as const
  show({ type: 'hub-begin', repo, commit: COMMIT, files: 2, total: 4_000_000_000 })
  seconds = 10
  show({ type: 'hub-progress', file: 'model\u001b[2J.safetensors', done: 2e9, total: 4e9, came: 1e9 })
  show({ type: 'hub-end', repo, commit: COMMIT, folder: '/cache', came: 3e9 })
  expect(lines[0]).toBe(`org/name, commit ${COMMIT}: 2 files, 4.0 GB\n`)
  // half is there; 1 GB came in 10 s; the other 2 GB take 20 s
  expect(lines[1]).toMatch(/2\.0 GB of 4\.0 GB {2}100\.0 MB\/s {2}\[<.*20.*\]/)
  expect(lines[1].slice(4)).not.toContain('\u001b')
  expect(lines[2]).toContain('3.0 GB came in')
})

test('the command downloads, and data inspect reads a data set by its name', async () => {
  addRepo('datasets/org/set', { 'pairs.jsonl': small('{"prompt": "1 + 1 = ", "chosen": "2", "rejected": "3"}\n') })
  vi.stubEnv('HF_ENDPOINT', server.address).stubEnv('HF_HOME', home)
  let output = ''
  const writing = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    output += text
    return true
  })
  const telling = vi.spyOn(process.stderr, 'write').mockImplementation(() => true)
  try {
    await main(['download', 'org/set', 'pairs.jsonl', '--repo_type', 'dataset', '--json'])
    expect(JSON.parse(output)).toMatchObject({ commit: COMMIT, files: ['pairs.jsonl'], bytes: 55 })
    output = ''
    await main(['data', 'inspect', 'org/set', '--json'])
    expect(JSON.parse(output)).toMatchObject({ audit: { format: 'preference', groups: 1 } })
    output = ''
    await main(['push', adapterFolder(), 'org/mine', '--dry_run', '--json'])
    expect(JSON.parse(output)).toMatchObject({ repo: 'org/mine', commit: null })
    expect(String(telling.mock.calls)).toContain(`org/set: commit ${COMMIT}, pairs.jsonl`)
  } finally {
    writing.mockRestore()
    telling.mockRestore()
    vi.unstubAllEnvs()
  }
})

test.runIf(isSlow)('processes that are killed, stopped and run at once leave a whole file', async () => {
  const file = large(4_000_000)
  addRepo('models/org/name', { 'model.safetensors': file })
  const command = buildCommand(mkdtempSync(join(root, 'command-')))
  const environment = { HF_ENDPOINT: server.address, HF_HOME: home }
  const start = () => command.start(['download', 'org/name', '--json'], { environment })
  const partial = join(home, 'hub/models--org--name/blobs', `${etagOf(file)}.incomplete`)
  for (const signal of ['SIGKILL', 'SIGINT', 'SIGKILL', 'SIGTERM'] as const) {
    const before = existsSync(partial) ? lstatSync(partial).size : 0
    server.trouble = ({ place, range }, response) => {
      if (place !== 'cdn') return false
      const from = Number(/\d+/.exec(range ?? '0'))
      response.writeHead(from > 0 ? 206 : 200, { 'content-range': `bytes ${from}-3999999/4000000` })
      response.write(file.bytes.subarray(from, from + 500_000)) // and then nothing more
      return true
    }
    const running = start()
    while (!existsSync(partial) || lstatSync(partial).size <= before) await new Promise((wake) => setTimeout(wake, 20))
    running.kill(signal)
    const { code } = await running.end
    expect(code).toBe(signal === 'SIGKILL' ? null : 130)
  }
  server.trouble = () => false
  const ends = await Promise.all([start().end, start().end, start().end])
  expect(ends.map(({ code }) => code)).toEqual([0, 0, 0])
  const { folder } = JSON.parse(ends[0].stdout)
  const hash = createHash('sha256').update(readFileSync(join(folder, 'model.safetensors')))
  expect(hash.digest('hex')).toBe(etagOf(file))
})
