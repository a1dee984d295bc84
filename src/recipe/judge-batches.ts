/** @file How a run uses the batch API of a model, and what becomes of the jobs that it left before. */
import { UsageError, UserError } from '../base/errors.ts'
import type { BatchUpdate } from '../data/judge-events.ts'
import { type BatchQueue, createBatchQueue } from '../judge/batch-queue.ts'
import { openJobs, resumeJobs } from '../judge/batch-resume.ts'
import type { ChatModel } from '../judge/chat.ts'
import { systemClock } from '../judge/clock.ts'
import type { Ledger } from '../judge/ledger.ts'
import type { Solution } from '../judge/port.ts'
import type { Price } from '../judge/prices.ts'
import type { JudgeSettings } from './judge-settings.ts'
import type { World } from './world.ts'

export interface BatchPlace {
  readonly model: ChatModel
  /** In the batch API. */
  readonly price: Price | null
  readonly ledger: Ledger
  readonly run: string
  readonly world: World
  readonly tell: (update: BatchUpdate) => void
}

/** @throws UsageError for a model that has no batch API. */
export function openBatches({ model, price, ledger, run, world, tell }: BatchPlace): {
  readonly queue: BatchQueue
  /** Goes on with jobs of a process that has ended, before anything is asked. */
  resume(): Promise<void>
  /** Leaves what is under way. */
  close(): void
} {
  const { name, batches } = model
  if (batches === undefined) throw new UsageError(`--batch_api: ${name} has no batch API`)
  const { clock = systemClock } = world
  const closing = new AbortController()
  const site = {
    name,
    batches,
    ledger,
    run,
    signal: AbortSignal.any([world.signal, closing.signal]),
    clock,
    tell: (update: Omit<BatchUpdate, 'type'>) => tell({ type: 'batch-updated', ...update }),
  }
  return {
    queue: createBatchQueue(site),
    resume: async () => resumeJobs(site, await openJobs(ledger, run, name), price),
    close: () => closing.abort(),
  }
}

/** So many requests are in jobs at a time: a process holds them with their prompts. */
const REQUESTS_AT_ONCE = 20_000

/** How many solutions are judged at a time by batch APIs. */
export function solutionsAtOnce(
  { judge_mode: mode, votes }: Pick<JudgeSettings, 'judge_mode' | 'votes'>,
  solutions: readonly Solution[],
): number {
  const isWhole = mode === 'solution' || mode === 'first_error'
  const questions = isWhole ? solutions.length : solutions.reduce((sum, { steps }) => sum + steps.length, 0)
  return Math.max(1, Math.floor((REQUESTS_AT_ONCE * solutions.length) / Math.max(1, votes * questions)))
}

/** @throws UserError where a job of this run is open: what is asked directly would be paid a second time. */
export async function refuseOpenJobs(ledger: Ledger, run: string, model: string): Promise<void> {
  const jobs = await openJobs(ledger, run, model)
  if (jobs.length === 0) return
  const count = jobs.reduce((sum, { intents }) => sum + intents.length, 0)
  throw new UserError(
    `${model}: a batch with ${count} requests of this run is open; go on with it by --batch_api, or leave it ` +
      'and what it costs by another --output_dir',
  )
}
