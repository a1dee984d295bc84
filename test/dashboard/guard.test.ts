import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { isSlow } from '../slow.ts'
import { ask, linesOf, makeRuns, openClient, rolloutOf } from './runs.ts'

const CANARY = 'canary-4711'
const globals = { Request, Response }
const site = await makeRuns(2)
const outside = join(site.folder, 'outside')
mkdirSync(outside)
writeFileSync(join(outside, 'rollouts.jsonl'), linesOf([rolloutOf(CANARY, [CANARY], 0, 1)]))
mkdirSync(join(site.run, 'evaluation'))
symlinkSync(join(outside, 'rollouts.jsonl'), join(site.run, 'evaluation', 'greedy.jsonl'))
symlinkSync(outside, join(site.runs, 'linked'))
const client = await openClient(site)
const { port, routes } = client.dashboard
const [run] = JSON.parse((await client.get('/api/runs')).text).runs
const labels = join(site.run, 'labels.jsonl')

afterAll(async () => {
  await client.dashboard.close()
  rmSync(site.folder, { recursive: true })
})

/** Sends bytes as they are, and gives what comes until the end. */
function sendRaw(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      text += chunk
      if (/\r\n\r\n/.test(text)) socket.end()
    })
    socket.on('close', () => resolve(text))
    socket.on('error', () => resolve(text))
  })
}

/** Asks again where it was too often. */
async function answered(asking: () => Promise<string>): Promise<string> {
  for (;;) {
    const reply = await asking()
    if (statusOf(reply) !== 429) return reply
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const statusOf = (reply: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(reply)?.[1] ?? 0)

const methods = ['GET', 'POST', 'OPTIONS', ...(isSlow ? ['HEAD', 'PUT', 'DELETE', 'PATCH'] : [])]

test('serving leaves what is global in the process as it was: judges of the same process read replies by it', () => {
  expect(Response).toBe(globals.Response)
  expect(Request).toBe(globals.Request)
})

/** Every path of the router with something in place of its parameters, and files of the page. */
const paths = [
  ...new Set(routes.map(({ path }) => path.replace(':run', run.id).replace(/:\w+/g, 'x').replace('*', 'index.html'))),
  '/',
  '/app.js.map',
  '/favicon.ico',
]

test('the router answers what the contract lists, and nothing else', () => {
  const contract = readFileSync(new URL('../../src/data/dashboard.ts', import.meta.url), 'utf8')
  const listed = [...contract.matchAll(/^ \* \| `(GET|POST) ([^?`]+)/gm)].map(([, method, path]) => `${method} ${path}`)
  const answered = routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`)
  expect(answered.sort()).toEqual(
    [...listed, 'GET /login', 'GET *'].map((one) => one.replace('GET *', 'GET /*')).sort(),
  )
})

test('no route, file or method answers without the cookie, nor with a wrong one', async () => {
  const open: string[] = []
  for (const path of paths) {
    for (const method of methods) {
      for (const cookie of [undefined, `stepdpo_${port}=${'a'.repeat(43)}`]) {
        const reply = await ask(port, path, { method, headers: cookie === undefined ? {} : { cookie } })
        if (reply.status !== 401) open.push(`${method} ${path} ${reply.status}`)
      }
    }
  }
  expect(open).toEqual([])
})

test('with the cookie every route that reads answers, and says nothing to other origins', async () => {
  const reads = routes.filter(
    ({ method, path }) => method === 'GET' && !/:(trace|problem|events)|events|login/.test(path),
  )
  for (const { path } of reads) {
    const reply = await client.get(
      path.replace(':run', run.id).replace('*', '') + (path.endsWith('compare') ? `?runs=${run.id}` : ''),
    )
    expect([path, reply.status]).toEqual([path, 200])
    expect(Object.keys(reply.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
    expect(reply.headers['content-security-policy']).toContain("frame-ancestors 'none'")
    expect(reply.headers['content-security-policy']).not.toContain('unsafe')
    expect(reply.headers['x-content-type-options']).toBe('nosniff')
  }
})

test('the login link works with its token alone, and gives a cookie that scripts and other sites do not get', async () => {
  expect((await ask(port, '/login')).status).toBe(401)
  expect((await ask(port, `/login?token=${'a'.repeat(43)}`)).status).toBe(401)
  const link = new URL(client.dashboard.link)
  const reply = await ask(port, link.pathname + link.search)
  expect(String(reply.headers['set-cookie'])).toMatch(/; HttpOnly; SameSite=Strict/)
  expect(reply.headers['referrer-policy']).toBe('no-referrer')
  expect(reply.text).not.toContain(link.searchParams.get('token'))
})

test('only names of this machine with our port are answered', async () => {
  const hosts = [
    `evil.example:${port}`,
    `127.0.0.1:${port + 1}`,
    '127.0.0.1',
    `127.0.0.1.evil.example:${port}`,
    `localhost.evil.example:${port}`,
    `evil.example@127.0.0.1:${port}`,
    `0.0.0.0:${port}`,
    `2130706433:${port}`,
    `[::ffff:127.0.0.1]:${port}`,
    '',
  ]
  const shown = isSlow ? paths : ['/', `/api/runs/${run.id}/traces`, '/login']
  for (const path of shown) {
    for (const host of hosts) {
      const reply = await sendRaw(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nCookie: ${client.cookie}\r\n\r\n`)
      expect([host, Math.floor(statusOf(reply) / 100)]).toEqual([host, 4])
    }
    const twice = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nHost: evil.example\r\nCookie: ${client.cookie}\r\n\r\n`
    const none = `GET ${path} HTTP/1.1\r\nCookie: ${client.cookie}\r\n\r\n`
    const absolute = `GET http://evil.example${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${client.cookie}\r\n\r\n`
    for (const bytes of [twice, none, absolute]) expect(Math.floor(statusOf(await sendRaw(bytes)) / 100)).toBe(4)
  }
  for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
    expect(
      (await ask(port, '/api/session', { headers: { host: `${host}:${port}`, cookie: client.cookie } })).status,
    ).toBe(200)
  }
})

test('a page of another site can neither label nor read', async () => {
  const [trace] = JSON.parse((await client.get(`/api/runs/${run.id}/traces`)).text).items
  const label = {
    trace: trace.id,
    ratings: [1, null, null],
    flagged: false,
    badProblem: false,
    ownStep: null,
    judgeShown: false,
  }
  const body = JSON.stringify(label)
  const path = `/api/runs/${run.id}/labels`
  const origins = [
    undefined,
    'null',
    'http://evil.example',
    `http://127.0.0.1.evil.example:${port}`,
    `http://evil127.0.0.1:${port}`,
    `https://127.0.0.1:${port}`,
    `http://127.0.0.1:${port + 1}`,
    `http://127.0.0.1:${port}/`,
    `http://127.0.0.1:${port}.evil.example`,
    `http://localhost:${port}`, // not the one that was asked
  ]
  const types = [
    'application/json',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    undefined,
  ]
  for (const origin of origins) {
    for (const type of types) {
      const headers = { cookie: client.cookie, ...(origin && { origin }), ...(type && { 'content-type': type }) }
      expect((await ask(port, path, { method: 'POST', headers, body })).status).toBe(403)
    }
  }
  for (const type of types.slice(1)) {
    const headers = { cookie: client.cookie, origin: client.origin, ...(type && { 'content-type': type }) }
    expect((await ask(port, path, { method: 'POST', headers, body })).status).toBe(415)
  }
  for (const fetched of ['cross-site', 'same-site', 'evil']) {
    const headers = {
      cookie: client.cookie,
      origin: client.origin,
      'content-type': 'application/json',
      'sec-fetch-site': fetched,
    }
    expect((await ask(port, path, { method: 'POST', headers, body })).status).toBe(403)
    expect((await ask(port, path, { headers })).status).toBe(403)
  }
  expect(existsSync(labels)).toBe(false)
  expect((await client.post(path, label)).status).toBe(200)
  expect(readFileSync(labels, 'utf8').split('\n')).toHaveLength(2)
})

test('bodies over 1 MiB, packed bodies and large headers are refused', async () => {
  const path = `/api/runs/${run.id}/labels`
  const headers = { cookie: client.cookie, origin: client.origin, 'content-type': 'application/json' }
  const post = (body: string | Uint8Array, more = {}) =>
    ask(port, path, { method: 'POST', headers: { ...headers, ...more }, body })
  const large = await post(' '.repeat((1 << 20) + 1)).catch(() => ({ status: 413 }))
  expect(large.status).toBe(413)
  const chunked = await post(' '.repeat((1 << 20) + 1), { 'transfer-encoding': 'chunked' }).catch(() => ({
    status: 413,
  }))
  expect(chunked.status).toBe(413)
  expect((await post(gzipSync('{}'), { 'content-encoding': 'gzip' })).status).toBe(415)
  const filled = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX: ${'a'.repeat(1 << 16)}\r\n\r\n`
  expect(statusOf(await sendRaw(filled))).toBe(431)
  for (const body of ['', '{', '[]', '{"trace":"x"}', '"', 'null', JSON.stringify({ trace: 'x', ratings: [2] })]) {
    expect((await post(body)).status).toBe(400)
  }
})

test('no path leads out of the folder of runs, and links in it are not followed', async () => {
  const ups = ['..', '%2e%2e', '%252e%252e', '..%2f', '..%5c', '%c0%ae%c0%ae', '.%00.', '....//', '..;', '%uff0e%uff0e']
  const targets = ['outside/rollouts.jsonl', 'linked/rollouts.jsonl', 'etc/passwd', 'evaluation/greedy.jsonl']
  const depths = isSlow ? [1, 2, 3, 4, 5, 6, 8] : [1, 4]
  const bases = isSlow ? ['', ...paths] : ['', `/api/runs/${run.id}/traces`]
  for (const base of bases) {
    for (const up of ups) {
      for (const target of targets) {
        for (const depth of depths) {
          const path = `${base === '/' ? '' : base}/${`${up}/`.repeat(depth)}${target}`
          const bytes = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${client.cookie}\r\n\r\n`
          const reply = await answered(() => sendRaw(bytes))
          expect(reply).not.toContain(CANARY)
          expect(reply).not.toContain('root:')
        }
      }
    }
  }
  for (const path of [`/api/runs/${run.id}/traces?q=canary`, '/api/runs', `/api/runs/${run.id}`]) {
    expect((await client.get(path)).text).not.toContain(CANARY)
  }
})

test.runIf(isSlow)('a thousand who send a byte at a time hold nobody up, and are cut', async () => {
  const sockets = Array.from({ length: 1000 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  const beat = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write('X')
  }, 1000)
  const waits: number[] = []
  for (let at = 0; at < 100; at++) {
    const from = performance.now()
    expect((await client.get('/api/session')).status).toBe(200)
    waits.push(performance.now() - from)
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  clearInterval(beat)
  expect(sockets.filter((socket) => !socket.destroyed && !socket.readableEnded)).toEqual([])
  console.log(`p99 of 100 requests among 1,000 slow ones: ${waits.sort((a, b) => a - b)[98].toFixed(1)} ms`)
})
