/** @file Goes on with the jobs of a run whose process has ended: takes their results into the ledger. */
import { UserError } from '../base/errors.ts'
import type { BatchAnswer } from './batch.ts'
import { type BatchSite, findJob, takeResults } from './batch-job.ts'
import { ChatError } from './chat.ts'
import type { Ledger } from './ledger.ts'
import type { Job, OpenBatchIntent } from './ledger-index.ts'
import { outcomeOf } from './outcome.ts'
import type { Price } from './prices.ts'
import { stoppedError } from './stopped.ts'

/** A job with its requests that have no outcome. */
export interface OpenJob {
  readonly job: Job
  readonly intents: readonly OpenBatchIntent['intent'][]
}

/**
 * The jobs that a run left with a model. What was gathered and stands in no job was never sent: that is noted. Only for
 * the one process that has the run.
 */
export async function openJobs(ledger: Ledger, run: string, model: string): Promise<OpenJob[]> {
  const jobs = new Map<string, { job: Job; intents: OpenBatchIntent['intent'][] }>()
  const noting: Promise<void>[] = []
  for (const { intent, job } of ledger.openInBatches(run)) {
    if (intent.model !== model) continue
    if (job === undefined) {
      const { id, key, reserved } = intent
      const why = stoppedError(false).message
      const outcome = { type: 'failure', id, key, run, maybePaid: false, usage: null, kind: 'stopped', why } as const
      noting.push(ledger.settle({ ...outcome, cost: reserved === null ? null : 0 }))
    } else if (job.batch !== null) {
      const known = jobs.get(job.id) ?? { job, intents: [] }
      known.intents.push(intent)
      jobs.set(job.id, known)
    }
  }
  await Promise.all(noting)
  return [...jobs.values()]
}

/**
 * Waits for jobs and notes their outcomes. Where nobody knows whether a job was made, its requests stay without an end.
 * Ends early where the run is stopped.
 * @throws UserError where a job cannot be reached.
 */
export async function resumeJobs(site: BatchSite, jobs: readonly OpenJob[], price: Price | null): Promise<void> {
  try {
    for (const job of jobs) await resumeJob(site, job, price)
  } catch (error) {
    if (!(error instanceof ChatError)) throw error
    if (error.facts.kind !== 'stopped')
      throw new UserError(`${error.message}; the same command goes on`, { cause: error })
  }
}

async function resumeJob(site: BatchSite, { job, intents }: OpenJob, price: Price | null): Promise<void> {
  const { batches, ledger } = site
  const { id, time, form, without, shape } = job
  let batch = job.batch ?? null
  if (batch === null) {
    const lost = { token: id, requests: intents.length, time: new Date(time) }
    batch = await findJob(site, lost, new Set(intents.map(({ key }) => key)))
    await ledger.note({ type: 'batch-created', id, batch })
    if (batch === null) return
  }
  const sent = batches.accepted({ form, without: new Set(without) })
  const noting: Promise<void>[] = []
  const ends = new Map(
    intents.map((intent) => [
      intent.key,
      (answer: BatchAnswer): void => {
        noting.push(ledger.settle(outcomeOf(intent, batches.read(answer, sent, shape), price)))
      },
    ]),
  )
  try {
    const refusal = await takeResults(site, batch, ends)
    if (refusal !== null) for (const end of ends.values()) end(refusal)
  } finally {
    await Promise.all(noting)
  }
}
