/**
 * @file How fast steps are judged through a server that takes its time: npm run bench:judge.
 *
 * `stepdpo judge` asks STEPS questions (10,000) of a server in its own process that answers after 200 ms, CONCURRENCY
 * (64) at once, with the vendor's library, the ledger and its fsyncs between: timed from its first event to its last.
 * The ideal is CONCURRENCY / 200 ms. How near to it this machine and this server come at all is what a bare HTTP client
 * reaches, which is timed before and after.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { json } from 'node:stream/consumers'
import { judgeFile } from '../src/recipe/judge.ts'
import { judgeSchema } from '../src/recipe/judge-settings.ts'
import { systemWorld } from '../src/recipe/world.ts'
import { setting } from './measure.ts'
import { ROOT } from './peer.ts'

const STEPS = setting('STEPS', 10_000)
const CONCURRENCY = setting('CONCURRENCY', 64)
const LATENCY_MS = setting('LATENCY_MS', 200)
const STEPS_EACH = 5
const IDEAL = CONCURRENCY / (LATENCY_MS / 1000)

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-bench-'))
const script = join(ROOT, 'test', 'judge', 'server.ts')
const server = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify({ latencyMs: LATENCY_MS })], {
  stdio: ['pipe', 'pipe', 'inherit'],
})

/** Requests a second of a client that does nothing but HTTP. */
async function bareRate(url: string, count: number): Promise<number> {
  const agent = new Agent({ keepAlive: true })
  const headers = { 'content-type': 'application/json' }
  let next = 0
  const ask = async (): Promise<void> => {
    while (next < count) {
      const messages = [{ role: 'user', content: `question ${next++}` }]
      const sent = request(`${url}/v1/chat/completions`, { method: 'POST', agent, headers })
      sent.end(JSON.stringify({ model: 'gpt-4', max_tokens: 10, temperature: 0, messages }))
      const [response] = await once(sent, 'response')
      await json(response)
    }
  }
  const started = performance.now()
  await Promise.all(Array.from({ length: CONCURRENCY }, ask))
  agent.destroy()
  return count / ((performance.now() - started) / 1000)
}

async function timeJudging(url: string): Promise<void> {
  const data = join(folder, 'solutions.jsonl')
  const steps = ['a', 'b', 'c', 'd', 'e']
  const solutions = Array.from({ length: Math.ceil(STEPS / STEPS_EACH) }, (_, at) =>
    JSON.stringify({ prompt: `problem ${at}`, steps: steps.map((letter) => `${at} ${letter} says`) }),
  )
  writeFileSync(data, solutions.join('\n'))
  const settings = judgeSchema.parse({
    reward_model: [`openai:gpt-4@${url}/v1`],
    judge_mode: 'step',
    few_shot: 'none',
    concurrency: CONCURRENCY,
    dataset_path: data,
    output_dir: join(folder, 'judged'),
  })
  const world = { ...systemWorld(), environment: { STEPDPO_CACHE: folder } }
  const memory: string[] = []
  let started = 0
  let before = process.cpuUsage()
  for await (const event of judgeFile(settings, world)) {
    if (event.type === 'judging-begin') {
      started = performance.now()
      before = process.cpuUsage()
    }
    if (event.type === 'judgement-made' && event.done % Math.ceil(solutions.length / 10) === 0) {
      memory.push((process.memoryUsage.rss() / 1e6).toFixed(0))
    }
    if (event.type !== 'judging-end') continue
    const { scored, abstained, failed } = event.steps
    const count = scored + abstained + failed
    const rate = count / ((performance.now() - started) / 1000)
    const { user, system } = process.cpuUsage(before)
    console.log(
      `${count} steps, ${failed} failed: ${rate.toFixed(0)} a second, ${(rate / IDEAL).toFixed(3)} of ideal; goal ≥ 0.9`,
    )
    console.log(`processor time of a step: ${((user + system) / 1000 / count).toFixed(2)} ms`)
    console.log(`memory after each tenth, MB: ${memory.join(' ')}`)
  }
}

try {
  const [url] = await once(createInterface({ input: server.stdout }), 'line')
  const showBare = async (): Promise<void> => {
    const rate = await bareRate(url, 10 * CONCURRENCY)
    console.log(`a bare client: ${rate.toFixed(0)} a second, ${(rate / IDEAL).toFixed(3)} of ideal`)
  }
  await showBare()
  await timeJudging(url)
  await showBare()
} finally {
  server.kill()
  rmSync(folder, { recursive: true })
}
