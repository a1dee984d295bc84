/** @file Gathers what is asked until everybody waits, and sends it as jobs, one after another. */
import type { BatchAnswer, Batches } from './batch.ts'
import { type BatchItem, type BatchSite, makeJob, takeResults, type WrittenItem } from './batch-job.ts'
import { ChatError, type ChatReply, type ChatRequest } from './chat.ts'
import { wait } from './patience.ts'
import type { Accepted } from './providers/dialect.ts'
import { stoppedError } from './stopped.ts'

export interface BatchQueue {
  /**
   * The end of one request.
   * @throws ChatError `stopped` where its job goes on without us, UserError where the job cannot be reached: then the
   * request has no outcome yet.
   */
  add(item: BatchItem): Promise<ChatReply | ChatError>
}

interface Waiting {
  readonly item: BatchItem
  readonly end: (result: ChatReply | ChatError) => void
  /** Without an outcome. */
  readonly leave: (error: unknown) => void
}

function finish({ end, leave }: Waiting, error: unknown): void {
  if (error instanceof ChatError) end(error)
  else leave(error)
}

/** So long after the last that was asked, everybody waits. */
const QUIET_MS = 1000

/** Where the vendor has no room for a job, half of it is tried after so long, and later a little more each time. */
const FULL_MS = 60_000
const MOST_REFUSALS = 30

export function createBatchQueue(site: BatchSite): BatchQueue {
  let waiting: Waiting[] = []
  let most = site.batches.maxRequests
  let refusals = 0 // in a row
  let isWorking = false
  const untilQuiet = async (): Promise<void> => {
    for (let seen = -1; seen !== waiting.length; ) {
      seen = waiting.length
      await wait(QUIET_MS, site)
    }
  }
  const work = async (): Promise<void> => {
    isWorking = true
    try {
      while (waiting.length > 0) {
        await untilQuiet()
        const sent = site.batches.accepted()
        const { taken, left } = takeJob(waiting, { ...site.batches, maxRequests: most }, sent)
        waiting = left
        const refusal = await runJob(site, taken, sent)
        refusals = refusal === null ? 0 : refusals + 1
        if (refusal === null) most = Math.min(site.batches.maxRequests, Math.ceil(1.25 * most))
        else if (refusals > MOST_REFUSALS) for (const { end } of taken) end(refusal)
        else {
          waiting = [...taken, ...waiting]
          most = Math.ceil(taken.length / 2)
          await wait(FULL_MS, site)
        }
      }
    } catch (error) {
      const unsent = waiting
      waiting = []
      for (const one of unsent) finish(one, error instanceof ChatError ? stoppedError(false) : error)
    }
    isWorking = false
  }
  return {
    add: (item) =>
      new Promise((end, leave) => {
        waiting.push({ item, end, leave })
        if (!isWorking) void work()
      }),
  }
}

interface Written extends Waiting {
  readonly item: WrittenItem
}

/** Requests of one shape, as many as a job may have, and the others. */
function takeJob(
  waiting: readonly Waiting[],
  batches: Pick<Batches, 'maxRequests' | 'maxBytes' | 'write'>,
  sent: Accepted,
) {
  const shape = shapeOf(waiting[0].item.request)
  const taken: Written[] = []
  const left: Waiting[] = []
  let bytes = 0
  for (const one of waiting) {
    const { key, request } = one.item
    if (taken.length === batches.maxRequests || bytes > batches.maxBytes || shapeOf(request) !== shape) {
      left.push(one)
      continue
    }
    const line = batches.write(key, request, sent)
    bytes += Buffer.byteLength(line) + 1
    if (bytes > batches.maxBytes && taken.length > 0) left.push(one)
    else taken.push({ ...one, item: { ...one.item, line } })
  }
  return { taken, left }
}

function shapeOf({ schema, maxTokens, topP, seed, topLogprobs }: ChatRequest): string {
  return JSON.stringify([schema?.name, maxTokens, topP, seed, topLogprobs])
}

/**
 * Null, or why the vendor had no room for it: then its requests have no end yet.
 * @throws where nothing more can be sent: the run was stopped, or the vendor cannot be used.
 */
async function runJob(site: BatchSite, job: readonly Written[], sent: Accepted): Promise<ChatError | null> {
  const items = job.map(({ item }) => item)
  const batch = await makeJob(site, items, sent).catch((error: unknown) => {
    for (const one of job) finish(one, error)
    if (site.signal.aborted || !(error instanceof ChatError)) throw error
  })
  if (batch === undefined) return null
  const ends = new Map(
    job.map(({ item: { key, request }, end }) => [
      key,
      (answer: BatchAnswer): void => end(site.batches.read(answer, sent, request)),
    ]),
  )
  return takeResults(site, batch, ends).catch((error: unknown) => {
    for (const { leave } of job) leave(error) // those that have no end yet
    throw error
  })
}
