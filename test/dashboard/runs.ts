/** @file A folder with a run of sampled, judged and paired solutions, made by the real commands, and a server over it. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256 } from '../../src/base/hash.ts'
import type { Rollout } from '../../src/data/rollout.ts'
import { makePairs } from '../../src/recipe/pairs.ts'
import { type PairsSettings, pairsSchema } from '../../src/recipe/pairs-settings.ts'
import type { World } from '../../src/recipe/world.ts'
import { type Dashboard, serveDashboard } from '../../src/server/serve.ts'

export interface RunsSite {
  readonly folder: string
  /** The folder of runs. */
  readonly runs: string
  /** A run of `stepdpo run`, but for its training. */
  readonly run: string
  readonly world: World
}

/** Answers to `a + b + 1`: a right one, one whose first step is wrong, one whose second is. */
function answersOf(a: number, b: number): readonly (readonly string[])[] {
  const sum = a + b
  const end = (value: number): string => `The answer is ${value}.`
  return [
    [`${a} + ${b} = ${sum}.`, `${sum} + 1 = ${sum + 1}.`, end(sum + 1)],
    [`${a} + ${b} = ${sum + 2}.`, `${sum + 2} + 1 = ${sum + 3}.`, end(sum + 3)],
    [`${a} + ${b} = ${sum}.`, `${sum} + 1 = ${sum + 3}.`, end(sum + 3)],
  ]
}

export function rolloutOf(problem: string, steps: readonly string[], sample: number, answer: number): Rollout {
  const said = steps.at(-1)?.match(/\d+/)?.[0] ?? null
  return {
    id: sha256(JSON.stringify([problem, steps, sample])),
    maker: 'policy@1 temperature=1',
    problem,
    sample,
    completion: steps.join('\n'),
    steps: [...steps],
    finish: 'stop',
    tokens: 10 * steps.length,
    answer: String(answer),
    final_answer: said,
    final_answer_correct: said === String(answer),
  }
}

export function rolloutsOf(problems: number): Rollout[] {
  return Array.from({ length: problems }, (_, at) => {
    const [a, b] = [10 + at, 3 + (at % 7)]
    const problem = `What is ${a} plus ${b}, plus 1?`
    return answersOf(a, b).map((steps, sample) => rolloutOf(problem, steps, sample, a + b + 1))
  }).flat()
}

export function linesOf(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('')
}

export async function makeRuns(problems = 6): Promise<RunsSite> {
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-view-'))
  const run = join(folder, 'runs', 'first')
  mkdirSync(join(run, 'round-1'), { recursive: true })
  writeFileSync(join(run, 'round-1', 'rollouts.jsonl'), linesOf(rolloutsOf(problems)))
  const world = {
    now: () => new Date('2026-01-02T03:04:05Z'),
    seconds: () => performance.now() / 1000,
    environment: { STEPDPO_CACHE: join(folder, 'cache') },
    signal: new AbortController().signal,
  }
  const site = { folder, runs: join(folder, 'runs'), run, world }
  await pairRuns(site)
  return site
}

/** `stepdpo pairs` over the rollouts of the run. */
export async function pairRuns({ run, world }: RunsSite, more: Partial<PairsSettings> = {}): Promise<void> {
  const round = join(run, 'round-1')
  const settings = pairsSchema.parse({
    rollouts: join(round, 'rollouts.jsonl'),
    output_dir: round,
    reward_model: ['arithmetic'],
    ...more,
  })
  for await (const _ of makePairs(settings, world));
}

export interface Client {
  readonly dashboard: Dashboard
  readonly origin: string
  readonly cookie: string
  get(path: string): Promise<Reply>
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Reply>
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export interface Asking {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** Exactly what is said, unlike `fetch`, which sends no Host and no Origin of one's own. */
export function ask(port: number, path: string, { method = 'GET', headers = {}, body }: Asking = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (reply) => {
      const chunks: Buffer[] = []
      reply.on('data', (chunk: Buffer) => chunks.push(chunk))
      reply.on('error', reject)
      reply.on('end', () => {
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, text: Buffer.concat(chunks).toString() })
      })
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

/** Serves the runs and logs in. */
export async function openClient(site: RunsSite): Promise<Client> {
  const ui = join(site.folder, 'ui')
  mkdirSync(ui, { recursive: true })
  writeFileSync(join(ui, 'index.html'), '<!doctype html><html lang="en"><title>page</title></html>')
  writeFileSync(join(ui, 'app.js.map'), '{}')
  const dashboard = await serveDashboard({
    runs: site.runs,
    site: ui,
    host: '127.0.0.1',
    port: 0,
    morePorts: 0,
    who: 'ada',
    version: '1',
    now: () => new Date(),
  })
  const { port } = dashboard
  const origin = `http://127.0.0.1:${port}`
  const login = await ask(port, new URL(dashboard.link).pathname + new URL(dashboard.link).search)
  const cookie = String(login.headers['set-cookie']).split(';')[0]
  return {
    dashboard,
    origin,
    cookie,
    get: (path) => ask(port, path, { headers: { cookie } }),
    post: (path, body, headers = {}) =>
      ask(port, path, {
        method: 'POST',
        headers: { cookie, origin, 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
  }
}
