/**
 * @file OpenAI's batch API (platform.openai.com/docs/api-reference/batch): a file of JSON lines is uploaded and made a
 * job; its results are two files, of replies and of errors.
 */
import type OpenAI from 'openai'
import { z } from 'zod'
import type { ChatError, ChatErrorFacts } from '../chat.ts'
import { type BatchVendor, batchFailure, progressCount, vendorName } from './batches.ts'
import { httpError, quote, type Speaker } from './http-error.ts'

const ENDPOINT = '/v1/chat/completions'
const TOKEN = 'stepdpo'

const problem = z.object({ code: z.string().nullish().catch(null), message: z.string().nullish().catch(null) })

const job = z.object({
  id: vendorName,
  status: z.string(),
  created_at: z.number(),
  output_file_id: vendorName.nullish(),
  error_file_id: vendorName.nullish(),
  errors: z
    .object({ data: z.array(problem).nullish() })
    .nullish()
    .catch(null),
  request_counts: z.object({ total: progressCount, completed: progressCount, failed: progressCount }).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish().catch(null),
})

const result = z.object({
  custom_id: z.string(),
  response: z.object({ status_code: z.number().int(), body: z.unknown() }).nullish(),
  error: problem.nullish().catch(null),
})

const ENDED = new Set(['completed', 'failed', 'expired', 'cancelled'])

export const openaiBatches: BatchVendor<OpenAI> = {
  maxRequests: 50_000,
  maxBytes: 200e6,
  headers: {},
  line: (key, body) => ({ custom_id: key, method: 'POST', url: ENDPOINT, body }),
  upload: async (client, lines, signal) => {
    const file = new File([`${lines.join('\n')}\n`], 'stepdpo.jsonl', { type: 'application/jsonl' })
    return client.files.create({ file, purpose: 'batch' }, { signal })
  },
  uploaded: z.object({ id: vendorName }).transform(({ id }) => id),
  create: (client, { uploaded, token, signal }) =>
    client.batches.create(
      { input_file_id: uploaded, endpoint: ENDPOINT, completion_window: '24h', metadata: { [TOKEN]: token } },
      { signal },
    ),
  retrieve: (client, batch, signal) => client.batches.retrieve(batch, { signal }),
  list: (client, after, signal) => client.get('/batches', { query: { limit: 100, after }, signal }),
  job: (speaker) =>
    job.transform(({ id, status, created_at, output_file_id, error_file_id, errors, request_counts, metadata }) => {
      const counts = request_counts ?? { total: 0, completed: 0, failed: 0 }
      const files = [output_file_id, error_file_id].flatMap((file) => (file ? [`/files/${file}/content`] : []))
      const token = metadata?.[TOKEN]
      return {
        batch: id,
        isEnded: ENDED.has(status),
        requests: counts.total,
        completed: counts.completed,
        failed: counts.failed,
        absent: absentOf(speaker, status, errors?.data?.[0]),
        files,
        token: typeof token === 'string' ? token : '',
        createdMs: created_at * 1000,
      }
    }),
  result: (speaker) =>
    result.transform(({ custom_id: key, response, error }) => {
      if (response === null || response === undefined) return { key, answer: failureOf(speaker, error) }
      const { status_code: status, body } = response
      if (status === 200) return { key, answer: { body } }
      return { key, answer: httpError(speaker, { status, headers: new Headers() }, body, 0) }
    }),
}

type Problem = z.infer<typeof problem> | null | undefined

const EXPIRED: ChatErrorFacts = { kind: 'timeout', isTransient: true, maybePaid: false }
const CANCELLED: ChatErrorFacts = { kind: 'stopped', isTransient: false, maybePaid: false }

/** What is not answered when a job ends is not charged, but where the job says that all are answered. */
function absentOf(speaker: Speaker, status: string, error: Problem): ChatError {
  if (status === 'expired') return batchFailure(speaker, 'the batch expired', EXPIRED)
  if (status === 'cancelled') return batchFailure(speaker, 'the batch was cancelled', CANCELLED)
  if (status === 'failed') return refusalOf(speaker, error)
  const facts = { kind: 'malformed-reply', isTransient: false, maybePaid: true } as const
  return batchFailure(speaker, 'the results of the batch have no line for it', facts)
}

/** A job that was refused as a whole: nothing of it was done. */
function refusalOf(speaker: Speaker, error: Problem): ChatError {
  const isFull = error?.code === 'token_limit_exceeded'
  const facts = { kind: isFull ? 'rate-limit' : 'refused-request', isTransient: isFull, maybePaid: false } as const
  return batchFailure(speaker, `the batch was refused: ${wordsOf(speaker, error)}`, facts)
}

/** Of a request that got no reply over HTTP. */
function failureOf(speaker: Speaker, error: Problem): ChatError {
  if (error?.code === 'batch_expired') return batchFailure(speaker, wordsOf(speaker, error), EXPIRED)
  if (error?.code === 'batch_cancelled') return batchFailure(speaker, wordsOf(speaker, error), CANCELLED)
  const facts = { kind: 'server-error', isTransient: true, maybePaid: true } as const
  return batchFailure(speaker, `no reply in the batch: ${wordsOf(speaker, error)}`, facts)
}

function wordsOf({ secrets }: Speaker, error: Problem): string {
  return quote(error?.message ?? error?.code ?? 'no reason given', secrets)
}
