/**
 * @file How fast steps are judged through a server that takes its time: npm run bench:judge.
 *
 * STEPS questions (10,000) to a server in its own process that answers after 200 ms, CONCURRENCY (64) at once, with the
 * vendor's library, the ledger and its fsyncs between. The ideal is CONCURRENCY / 200 ms.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { openJudge } from '../src/recipe/judge-parts.ts'
import { judgeFieldsSchema } from '../src/recipe/judge-settings.ts'
import { systemWorld } from '../src/recipe/world.ts'
import { setting } from './measure.ts'
import { ROOT } from './peer.ts'

const STEPS = setting('STEPS', 10_000)
const CONCURRENCY = setting('CONCURRENCY', 64)
const LATENCY_MS = setting('LATENCY_MS', 200)

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-bench-'))
const script = join(ROOT, 'test', 'judge', 'server.ts')
const server = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify({ latencyMs: LATENCY_MS })], {
  stdio: ['pipe', 'pipe', 'inherit'],
})
try {
  const [url] = await once(createInterface({ input: server.stdout }), 'line')
  const settings = judgeFieldsSchema.parse({
    reward_model: [`openai:gpt-4@${url}/v1`],
    judge_mode: 'step',
    few_shot: 'none',
    concurrency: CONCURRENCY,
  })
  const world = { ...systemWorld(), environment: { STEPDPO_CACHE: folder } }
  const parts = await openJudge({ settings, world, run: 'bench', purpose: 'bench' })
  /** Solutions of five steps, all asked at once: the limits let through as many as they may. */
  const judge = async (round: number, count: number) => {
    const solutions = Array.from({ length: count / 5 }, (_, at) => ({
      problem: `problem ${round}.${at}`,
      steps: ['a', 'b', 'c', 'd', 'e'].map((letter) => `${at} ${letter} says`),
    }))
    const judged = await Promise.all(solutions.map((solution) => parts.judge.judge(solution, world.signal)))
    return judged.flatMap(({ steps }) => steps)
  }
  await judge(-1, 100) // loads the library, opens the connections
  const memory: number[] = []
  const started = performance.now()
  let failed = 0
  for (let at = 0; at < STEPS / 1000; at++) {
    const steps = await judge(at, 1000)
    failed += steps.filter(({ state }) => state !== 'scored').length
    memory.push(process.memoryUsage.rss() / 1e6)
  }
  const rate = (1000 * Math.ceil(STEPS / 1000)) / ((performance.now() - started) / 1000)
  const ideal = CONCURRENCY / (LATENCY_MS / 1000)
  console.log(
    `${STEPS} steps, ${failed} failed: ${rate.toFixed(0)} a second, ${(rate / ideal).toFixed(3)} of ideal; goal ≥ 0.9`,
  )
  console.log(`memory after each thousand, MB: ${memory.map((mb) => mb.toFixed(0)).join(' ')}`)
  await parts.close()
} finally {
  server.kill()
  rmSync(folder, { recursive: true })
}
