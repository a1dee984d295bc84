/** Requests by a proxy on this machine: to the Hub, to judges and served policies, and of doctor. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { UserError } from '../src/base/errors.ts'
import { fetchBy } from '../src/base/proxy.ts'
import { openHub } from '../src/interop/hub-access.ts'
import { createChatModel, openServer, parseServedName } from '../src/judge/provider.ts'
import { postJson } from '../src/judge/providers/http.ts'
import { resultLines } from '../src/judge/providers/result-lines.ts'
import { examine } from '../src/recipe/doctor.ts'
import { doctorSchema } from '../src/recipe/doctor-settings.ts'
import { download } from '../src/recipe/download.ts'
import { downloadSchema } from '../src/recipe/hub-settings.ts'
import { sha256Of, small, startHub, TOKEN } from './hub-server.ts'
import { startServer } from './judge/server.ts'

const PASSWORD = 'canary-of-the-proxy'
const LOGIN = `Basic ${Buffer.from(`me:${PASSWORD}`).toString('base64')}`
const NEVER = new AbortController().signal
const home = mkdtempSync(join(tmpdir(), 'stepdpo-proxy-'))

/** What the proxy was asked, and where it sends whatever host is named. */
let seen: string[] = []
let target = ''
let refusal: number | undefined
let proxy: Server
let address = ''
const tunnels = new Set<Socket>()

beforeAll(async () => {
  proxy = createServer((incoming, response) => {
    seen.push(`${incoming.method} ${incoming.url}`)
    if (refused(incoming)) return void response.writeHead(refusal ?? 407).end()
    const { pathname, search } = new URL(incoming.url ?? '')
    const { 'proxy-authorization': _, ...headers } = incoming.headers
    const passed = request(target + pathname + search, { method: incoming.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    incoming.pipe(passed)
  })
  proxy.on('connect', (incoming, client: Socket) => {
    seen.push(`CONNECT ${incoming.url}`)
    tunnels.add(client)
    client.on('error', () => {})
    if (refused(incoming)) return void client.end(`HTTP/1.1 ${refusal ?? 407} No\r\n\r\n`)
    const server = connect(Number(new URL(target).port), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Yes\r\n\r\n')
      client.pipe(server).pipe(client)
    })
    server.on('error', () => client.destroy())
  })
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
  address = `http://me:${PASSWORD}@127.0.0.1:${(proxy.address() as AddressInfo).port}`
})
afterAll(async () => {
  for (const tunnel of tunnels) tunnel.destroy()
  proxy.closeAllConnections()
  await new Promise((done) => proxy.close(done))
  rmSync(home, { recursive: true, force: true })
})
beforeEach(() => {
  seen = []
  refusal = undefined
})
afterEach(() => vi.unstubAllEnvs())

function refused({ headers }: IncomingMessage): boolean {
  return refusal !== undefined || headers['proxy-authorization'] !== LOGIN
}

async function throwsFrom(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  )
}

test('the Hub is asked by the proxy, with its token, and what is on this machine is not', async () => {
  const hubServer = await startHub()
  target = hubServer.address
  const bytes = Buffer.from('weights')
  const files = { 'config.json': small('{}'), 'model.safetensors': { bytes, isLarge: true } }
  hubServer.repos.set('models/org/name', {
    commit: 'a'.repeat(40),
    files: new Map(Object.entries(files)),
    isGated: true,
  })
  try {
    const environment = { HF_ENDPOINT: 'http://hub.test', HF_HOME: home, HF_TOKEN: TOKEN, HTTP_PROXY: address }
    const settings = downloadSchema.parse({ repo: 'org/name' })
    const { folder } = await download(settings, openHub(environment, NEVER), () => {})
    expect(sha256Of(readFileSync(join(folder, 'model.safetensors')))).toBe(sha256Of(bytes))
    expect(seen[0]).toBe('GET http://hub.test/api/models/org/name/revision/main')
    // The files of the CDN are on 127.0.0.1.
    expect(seen.filter((line) => !line.includes(' http://hub.test/'))).toEqual([])
    expect(hubServer.requests.filter(({ place }) => place === 'cdn')).toHaveLength(1)
  } finally {
    await hubServer.close()
  }
})

test.each(['http_proxy', 'HTTP_PROXY'])('judges and served policies are asked by %s', async (variable) => {
  const server = await startServer({ key: 'sk-a-key-for-all-judges' })
  target = server.url
  const name = parseServedName('vllm:m@http://judge.test/v1')
  if (name === undefined) throw new Error('no name')
  const environment = { VLLM_API_KEY: 'sk-a-key-for-all-judges', [variable]: address }
  try {
    const messages = [{ role: 'user' as const, content: '1 + 1' }]
    const common = { schema: null, topP: null, seed: null, topLogprobs: 0, sample: 0 }
    const asked = { ...common, messages, maxTokens: 20, temperature: 0 }
    const reply = await createChatModel(name, { environment }).complete(asked, NEVER)
    expect(reply.text).not.toBe('')
    const remote = openServer(name, { environment, advice: '' }).server
    const document = { path: '/completions', headers: {}, body: '{"model": "m", "prompt": "1", "max_tokens": 3}' }
    expect(await postJson(remote, document, NEVER)).toBeTypeOf('object')
    const lines = resultLines(remote, '/none', { headers: {}, maxLines: 1, signal: NEVER })
    await throwsFrom(lines.next())
    expect(seen).toEqual([
      'POST http://judge.test/v1/chat/completions',
      'POST http://judge.test/v1/completions',
      'GET http://judge.test/v1/none',
    ])
  } finally {
    await server.close()
  }
})

test('a form is uploaded by the proxy as it is without one', async () => {
  const bodies: string[] = []
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    bodies.push(`${incoming.headers['content-type']} ${Buffer.concat(chunks)}`)
    response.end('{}')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', new Blob(['{"custom_id": 1}\n']), 'requests.jsonl')
    const headers = { authorization: 'Bearer key' }
    await fetchBy({ http_proxy: address })('http://judge.test/v1/files', { method: 'POST', body: form, headers })
    expect(seen).toEqual(['POST http://judge.test/v1/files'])
    expect(bodies[0]).toMatch(/^multipart\/form-data; boundary=/)
    expect(bodies[0]).toMatch(/name="purpose"\r\n\r\nbatch\r\n/)
    expect(bodies[0]).toMatch(/filename="requests.jsonl"[^{]*\{"custom_id": 1\}\n/)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

test('a proxy that opens no way has cost nothing, and another may be asked', async () => {
  refusal = 502
  const name = parseServedName('vllm:m@https://judge.test/v1')
  if (name === undefined) throw new Error('no name')
  const remote = openServer(name, { environment: { https_proxy: address }, advice: '' }).server
  const document = { path: '/completions', headers: {}, body: '{}' }
  const error = await throwsFrom(postJson(remote, document, NEVER))
  expect(error).toMatchObject({ facts: { kind: 'network', isTransient: true, maybePaid: false } })
})

const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'])
    return true
  } catch {
    return false
  }
})()

test.skipIf(!hasOpenssl)('what is asked by HTTPS goes through a tunnel, that of HTTPS_PROXY', async () => {
  const [key, cert] = [join(home, 'key.pem'), join(home, 'cert.pem')]
  const wanted = ['-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=secure.test']
  execFileSync('openssl', ['req', '-x509', ...wanted, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const secure = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) => {
    response.end('through the tunnel')
  })
  await new Promise<void>((done) => secure.listen(0, '127.0.0.1', done))
  target = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
  try {
    const response = await fetchBy({ https_proxy: address })('https://secure.test/x')
    expect(await response.text()).toBe('through the tunnel')
    expect(seen).toEqual(['CONNECT secure.test:443'])
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '1')
    const error = await throwsFrom(fetchBy({ https_proxy: address })('https://other.test/x'))
    expect(String(error)).toContain('DEPTH_ZERO_SELF_SIGNED_CERT')
  } finally {
    warn.mockRestore()
    secure.closeAllConnections()
    secure.close()
  }
})

test('what NO_PROXY names is asked directly, and so is everything without these variables', async () => {
  const own = createServer((_, response) => void response.end('direct'))
  await new Promise<void>((done) => own.listen(0, '127.0.0.1', done))
  const { port } = own.address() as AddressInfo
  const direct = `http://127.0.0.1:${port}/`
  try {
    for (const environment of [
      {},
      { HTTP_PROXY: '' },
      { HTTP_PROXY: address },
      { http_proxy: address, no_proxy: '*' },
    ]) {
      expect(await (await fetchBy(environment)(direct)).text()).toBe('direct')
      expect(await (await fetchBy(environment)(`http://localhost:${port}/`)).text()).toBe('direct')
    }
    target = `http://127.0.0.1:${port}`
    const some = fetchBy({ HTTP_PROXY: address, NO_PROXY: 'inside.test' })
    expect(await (await some('http://outside.test/')).text()).toBe('direct')
    // Nobody has such a host: it is looked for, and not asked of the proxy.
    expect(await throwsFrom(some('http://a.inside.test/'))).toBeInstanceOf(Error)
    expect(seen).toEqual(['GET http://outside.test/'])
  } finally {
    own.closeAllConnections()
    own.close()
  }
})

test('a proxy that refuses, one that is not there and one that is none are named, and the password never is', async () => {
  const name = parseServedName('vllm:m@https://judge.test/v1')
  if (name === undefined) throw new Error('no name')
  const document = { path: '/completions', headers: {}, body: '{}' }
  const ask = (proxyAddress: string) => {
    const environment = { HTTPS_PROXY: proxyAddress, HTTP_PROXY: proxyAddress }
    return [
      throwsFrom((async () => postJson(openServer(name, { environment, advice: '' }).server, document, NEVER))()),
      throwsFrom(
        (async () => {
          const all = { ...environment, HF_ENDPOINT: 'http://hub.test', HF_HOME: home }
          const parts = { patience: { attempts: 1, headersMs: 5000, silenceMs: 5000 } }
          await download(downloadSchema.parse({ repo: 'org/name' }), openHub(all, NEVER, parts), () => {})
        })(),
      ),
    ]
  }
  const host = new URL(address).host
  refusal = 407
  const refusals = await Promise.all(ask(address))
  for (const error of refusals) expect(String(error)).toContain(`the proxy ${host} answers 407`)
  expect(refusals[0]).toMatchObject({ facts: { isTransient: false, maybePaid: false } })
  const absent = await Promise.all(ask(`http://me:${PASSWORD}@127.0.0.1:59`))
  for (const error of absent) expect(String(error)).toContain('ECONNREFUSED; proxy 127.0.0.1:59')
  const wrong = await Promise.all(ask(`socks5://me:${PASSWORD}@127.0.0.1:59`))
  for (const error of wrong) expect(error).toBeInstanceOf(UserError)
  const all = [...refusals, ...absent, ...wrong]
  expect(inspect(all, { depth: 9, showHidden: true })).not.toContain(PASSWORD)
  expect(inspect(all, { depth: 9, showHidden: true })).not.toContain(LOGIN.slice(6))
})

test('doctor asks by the proxy, and says of the token where it is and no more', async () => {
  const own = createServer((_, response) => void response.end())
  await new Promise<void>((done) => own.listen(0, '127.0.0.1', done))
  target = `http://127.0.0.1:${(own.address() as AddressInfo).port}`
  try {
    const environment = { HF_ENDPOINT: 'http://hub.test', HTTP_PROXY: address, HF_HOME: home, STEPDPO_PYTHON: 'none' }
    const look = (more: object) => examine(doctorSchema.parse({ online: true }), { ...environment, ...more })
    const tokens = (checks: Awaited<ReturnType<typeof look>>) => checks.find(({ name }) => name === 'token of the Hub')
    const checks = await look({ HF_TOKEN: TOKEN })
    expect(seen).toEqual(['HEAD http://hub.test/'])
    expect(checks.find(({ area }) => area === 'network')).toMatchObject({ name: 'hub.test', state: 'ok' })
    expect(tokens(checks)).toMatchObject({ state: 'ok', value: 'by HF_TOKEN' })
    expect(tokens(await look({}))).toMatchObject({ state: 'absent', fix: expect.stringContaining(join(home, 'token')) })
    expect(JSON.stringify(checks)).not.toContain(TOKEN.slice(3))
    expect(JSON.stringify(checks)).not.toContain(PASSWORD)
  } finally {
    own.closeAllConnections()
    own.close()
  }
})
