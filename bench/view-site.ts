/** @file For the benchmarks of the dashboard: a folder of 100,000 judged traces, and `stepdpo view` over it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sha256 } from '../src/base/hash.ts'

export const TRACES = 100_000

/** Solutions of six steps, as long as those of MATH are short: 700 bytes a line. */
export function writeTraces(run: string): void {
  mkdirSync(join(run, 'judge'), { recursive: true })
  for (let from = 0; from < TRACES; from += 1000) {
    const rollouts: string[] = []
    const judgements: string[] = []
    for (let at = from; at < from + 1000; at++) {
      const problem = `Problem ${Math.floor(at / 8)}: a tank holds ${at % 97} litres, and ${at % 13} more flow in. How many are there?`
      const steps = Array.from(
        { length: 6 },
        (_, step) => `Step ${step + 1}: we add ${at} and ${step} and get ${at + step}.`,
      )
      const isRight = at % 3 === 0
      rollouts.push(
        JSON.stringify({
          id: sha256(String(at)),
          maker: 'policy@1 temperature=1',
          problem,
          sample: at % 8,
          completion: steps.join('\n'),
          steps,
          finish: 'stop',
          tokens: 80,
          answer: '7',
          final_answer: isRight ? '7' : '8',
          final_answer_correct: isRight,
        }),
      )
      const verdicts = steps.map((text, step) => {
        const isWrong = !isRight && step === at % 6
        return { text, state: 'scored', score: isWrong ? 0 : 1, label: isWrong ? 'incorrect' : 'correct', why: 'so' }
      })
      const score = isRight ? 1 : (at % 10) / 20
      judgements.push(
        JSON.stringify({
          id: String(at),
          judge: 'j@1',
          problem,
          steps: verdicts,
          score,
          aggregation: 'product',
          coverage: 1,
        }),
      )
    }
    appendFileSync(join(run, 'rollouts.jsonl'), `${rollouts.join('\n')}\n`)
    appendFileSync(join(run, 'judge', 'judgements.jsonl'), `${judgements.join('\n')}\n`)
  }
}

export interface Server {
  /** With the token. */
  readonly link: string
  readonly origin: string
  readonly cookie: string
  readonly process: ChildProcess
}

/** `stepdpo view` as a process of its own. */
export async function startServer(runs: string): Promise<Server> {
  const code = `import { main } from './src/cli/main.ts'; await main(['view', '--runs', ${JSON.stringify(runs)}, '--port', '0', '--no_open'])`
  const script = join(runs, '..', 'view.mts')
  writeFileSync(script, code.replace('./src', join(process.cwd(), 'src')))
  const child = spawn(process.execPath, ['--import', 'tsx', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const link = await new Promise<URL>((resolve) => {
    child.stdout?.on('data', (text: Buffer) => {
      const found = /http\S+/.exec(text.toString())?.[0]
      if (found !== undefined) resolve(new URL(found))
    })
  })
  const login = await fetch(link)
  return {
    link: link.href,
    origin: link.origin,
    cookie: String(login.headers.get('set-cookie')).split(';')[0],
    process: child,
  }
}

export async function timed(server: Server, path: string): Promise<{ ms: number; reply: Record<string, unknown> }> {
  const from = performance.now()
  const response = await fetch(server.origin + path, { headers: { cookie: server.cookie } })
  const reply: Record<string, unknown> = JSON.parse(await response.text())
  return { ms: performance.now() - from, reply }
}
