/** @file One job of many requests: it is made, waited for, and its results are taken. Makes none a second time. */
import { randomUUID } from 'node:crypto'
import { UserError } from '../base/errors.ts'
import type { BatchUpdate } from '../data/judge-events.ts'
import type { BatchAnswer, Batches, BatchStatus, LostJob } from './batch.ts'
import { ChatError, type ChatRequest } from './chat.ts'
import type { Ledger } from './ledger.ts'
import { type Patience, patiently, pollWaitMs, wait } from './patience.ts'
import type { Accepted } from './providers/dialect.ts'
import { stoppedError } from './stopped.ts'

/** What jobs are made with. Its signal stops the waiting, not the jobs. */
export interface BatchSite extends Patience {
  /** Of the model. */
  readonly name: string
  readonly batches: Batches
  readonly ledger: Ledger
  readonly run: string
  readonly tell: (update: Omit<BatchUpdate, 'type'>) => void
}

/** A request whose intent is noted. */
export interface BatchItem {
  readonly id: string
  readonly key: string
  readonly request: ChatRequest
}

/** A request as it is written in a job. */
export interface WrittenItem extends BatchItem {
  readonly line: string
}

/**
 * Makes a job and gives its name. A job is noted before it is made, and its name before this ends. All requests have the
 * shape of the first.
 */
export async function makeJob(site: BatchSite, items: readonly WrittenItem[], sent: Accepted): Promise<string> {
  const { batches, ledger, run, name, signal } = site
  const token = randomUUID()
  const lines = items.map(({ line }) => line)
  const make = await patiently(site, () => batches.prepare(lines, token, signal)).catch(asUnpaid)
  if (signal.aborted) throw stoppedError(false)
  await ledger.note({ type: 'batch', id: token, run, model: name, ...notesOf(items, sent) })
  const job = { token, requests: items.length, time: new Date() }
  const batch = await makeOnce(site, make).catch(async (error: unknown) => {
    if (!(error instanceof ChatError) || !error.facts.maybePaid) throw error
    const found = await findJob(site, job, new Set(items.map(({ key }) => key))).catch(() => null)
    if (found === null) throw error
    return found
  })
  await ledger.note({ type: 'batch-created', id: token, batch })
  site.tell({ model: name, batch, state: 'created', requests: items.length, completed: 0, failed: 0 })
  return batch
}

function notesOf(items: readonly BatchItem[], { form, without }: Accepted) {
  const { schema, maxTokens, topP, seed, topLogprobs } = items[0].request
  const shape = { schema: schema === null ? null : { name: schema.name }, maxTokens, topP, seed, topLogprobs }
  return { requests: items.map(({ id }) => id), form, without: [...without], shape }
}

function asUnpaid(error: unknown): never {
  if (!(error instanceof ChatError)) throw error
  throw new ChatError(error.message, { ...error.facts, isTransient: false, maybePaid: false }, { cause: error.cause })
}

/** Asked again only where it is known that the vendor has not taken it. */
async function makeOnce(site: BatchSite, make: () => Promise<string>): Promise<string> {
  const result = await patiently(site, () =>
    make().catch((error: unknown) => {
      if (error instanceof ChatError && error.facts.maybePaid) return error
      throw error
    }),
  ).catch(asUnpaid)
  if (result instanceof ChatError) throw result
  return result
}

const GRACE_MS = 60_000

/**
 * Looks for a job that may have been made; null where the vendor's list does not have it, also a minute later. Where the
 * list does not tell whose a job is, its results do, which are waited for.
 */
export async function findJob(site: BatchSite, job: LostJob, keys: ReadonlySet<string>): Promise<string | null> {
  const { batches, ledger, signal } = site
  for (const delayMs of [0, GRACE_MS]) {
    await wait(delayMs, site)
    for (const { batch, isCertain } of await patiently(site, () => batches.search(job, signal))) {
      if (isCertain) return batch
      if (!ledger.knowsBatch(batch) && (await holds(site, batch, keys))) return batch
    }
  }
  return null
}

async function holds(site: BatchSite, batch: string, keys: ReadonlySet<string>): Promise<boolean> {
  const status = await untilEnded(site, batch)
  return patiently(site, async () => {
    for await (const { key } of site.batches.results(status, keys.size, site.signal)) return keys.has(key)
    return false
  })
}

async function untilEnded({ name, tell, ...site }: BatchSite, batch: string): Promise<BatchStatus> {
  for (let polls = 0; ; polls++) {
    const status = await patiently(site, () => site.batches.status(batch, site.signal))
    const { requests, completed, failed, isEnded } = status
    tell({ model: name, batch, state: isEnded ? 'ended' : 'running', requests, completed, failed })
    if (isEnded) return status
    await wait(pollWaitMs(polls), site)
  }
}

const READINGS = 3

/**
 * Waits for a job and gives each answer to the one who waits for its key, once; who has none in the end gets what the
 * vendor says of those. What was paid and cannot be read is read again before it is given up.
 * @returns null, or why the vendor had no room for the job: then nothing of it was done, and nobody got an answer.
 * @throws ChatError `stopped`, and UserError where the job cannot be reached: it goes on, and can be taken later.
 */
export async function takeResults(
  site: BatchSite,
  batch: string,
  waiting: Map<string, (answer: BatchAnswer) => void>,
): Promise<ChatError | null> {
  const { batches, signal, name, tell } = site
  const all = waiting.size
  try {
    const status = await untilEnded(site, batch)
    for (let reading = 1; waiting.size > 0 && reading <= READINGS; reading++) {
      if (reading > 1) await wait(pollWaitMs(reading), site)
      await patiently(site, async () => {
        for await (const { key, answer } of batches.results(status, all, signal)) {
          waiting.get(key)?.(answer)
          waiting.delete(key)
        }
      })
      if (!status.absent.facts.maybePaid) break
    }
    if (waiting.size === all && status.absent.facts.maybePaid) {
      throw new UserError(`${name}: the results of batch ${batch} hold no answer to any of its ${all} requests`)
    }
    if (waiting.size === all && status.absent.facts.kind === 'rate-limit') return status.absent
    for (const end of waiting.values()) end(status.absent)
    return null
  } catch (error) {
    if (!(error instanceof ChatError)) throw error
    tell({ model: name, batch, state: 'left', requests: all, completed: 0, failed: 0 })
    if (error.facts.kind === 'stopped') throw error
    throw new UserError(`${error.message}; batch ${batch} goes on, and the same command takes its results`, {
      cause: error,
    })
  }
}
