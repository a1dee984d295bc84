/**
 * @file How soon the command answers and begins to train: npm run bench:start.
 *
 * `stepdpo --help` in turns with a Node that does nothing, and the main command from the start of its process to the
 * begin of its first update, after which it is stopped. Set ROUNDS.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { setting, showSpread, timesOf } from './measure.ts'
import { MODEL, PRM800K, ROOT } from './peer.ts'

const HELP_ROUNDS = 7
const ROUNDS = setting('ROUNDS', 3)
const COMMAND = join(ROOT, 'bin', 'stepdpo.js')

const eventSchema = z.object({ type: z.string(), time: z.coerce.date(), seconds: z.number().optional() })

function runNode(...args: string[]): () => Promise<void> {
  return async () => {
    execFileSync(process.execPath, args, { stdio: 'ignore' })
  }
}

async function measureHelp(): Promise<void> {
  const help: number[] = []
  const nothing: number[] = []
  for (let round = 0; round < HELP_ROUNDS; round++) {
    help.push(...(await timesOf(1, runNode(COMMAND, '--help'))))
    nothing.push(...(await timesOf(1, runNode('-e', '0'))))
  }
  console.log(
    `stepdpo --help: ${showSpread(help, 0)} ms (median of ${HELP_ROUNDS}, min–max), goal ≤ 400; ` +
      `node -e 0: ${showSpread(nothing, 0)} ms`,
  )
}

/** Seconds from the start of the process to the begin of the first update. */
async function timeToUpdate(folder: string): Promise<number> {
  const args = [
    ...['train', '--base_model', MODEL, '--dataset_path', PRM800K, '--output_dir', join(folder, 'run')],
    ...['--max_steps', '60', '--per_device_train_batch_size', '4', '--evaluation_strategy', 'steps', '--json'],
  ]
  const started = Date.now()
  const child = spawn(process.execPath, [COMMAND, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, STEPDPO_CACHE: join(folder, 'cache') },
  })
  const closed = once(child, 'close')
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const { type, time, seconds = 0 } = eventSchema.parse(JSON.parse(line))
      if (type === 'update-end') return (time.getTime() - started) / 1000 - seconds
    }
    throw new Error('stepdpo train ended before its first update')
  } finally {
    child.kill('SIGKILL')
    await closed
  }
}

async function measureTraining(): Promise<void> {
  if (!existsSync(MODEL) || !existsSync(PRM800K)) {
    console.log('the first update is not timed: there is no ../shared with SmolLM2-135M-Instruct and PRM800K')
    return
  }
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const folder = mkdtempSync(join(tmpdir(), 'stepdpo-bench-'))
    try {
      times.push(await timeToUpdate(folder))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  console.log(
    `from the start of stepdpo train to its first update: ${showSpread(times, 1)} s ` +
      `(median of ${ROUNDS}, min–max), goal ≤ 15`,
  )
}

await measureHelp()
await measureTraining()
