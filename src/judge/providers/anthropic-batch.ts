/**
 * @file Anthropic's batch API (platform.claude.com/docs/en/build-with-claude/batch-processing): one request carries a
 * job; its results are one file. The vendor takes no notes with a job.
 */
import type Anthropic from '@anthropic-ai/sdk'
import { z } from 'zod'
import type { BatchAnswer } from '../batch.ts'
import { type BatchVendor, batchFailure, progressCount, vendorName } from './batches.ts'
import { httpError, type Speaker } from './http-error.ts'

const ROUTE = '/v1/messages/batches'

const job = z.object({
  id: vendorName,
  processing_status: z.string(),
  created_at: z.string(),
  request_counts: z.object({
    processing: progressCount,
    succeeded: progressCount,
    errored: progressCount,
    canceled: progressCount,
    expired: progressCount,
  }),
})

const result = z.object({
  custom_id: z.string(),
  result: z.discriminatedUnion('type', [
    z.object({ type: z.literal('succeeded'), message: z.unknown() }),
    z.object({ type: z.literal('errored'), error: z.unknown() }),
    z.object({ type: z.literal('canceled') }),
    z.object({ type: z.literal('expired') }),
  ]),
})

/** Of the API's errors: docs.claude.com/en/api/errors. */
const STATUS_OF: ReadonlyMap<string, number> = new Map([
  ['invalid_request_error', 400],
  ['authentication_error', 401],
  ['billing_error', 402],
  ['permission_error', 403],
  ['not_found_error', 404],
  ['request_too_large', 413],
  ['rate_limit_error', 429],
  ['timeout_error', 504],
  ['overloaded_error', 529],
])

const errorBody = z.object({ error: z.object({ type: z.string() }) })

export const anthropicBatches: BatchVendor<Anthropic> = {
  maxRequests: 100_000,
  maxBytes: 256e6 - 100,
  headers: { 'anthropic-version': '2023-06-01' },
  line: (key, body) => ({ custom_id: key, params: body }),
  upload: async (_, lines) => `{"requests":[${lines.join(',')}]}`,
  uploaded: z.string(),
  create: (client, { uploaded, signal }) =>
    client.post(ROUTE, { body: uploaded, headers: { 'content-type': 'application/json' }, signal }),
  retrieve: (client, batch, signal) => client.get(`${ROUTE}/${batch}`, { signal }),
  list: (client, after, signal) => client.get(ROUTE, { query: { limit: 100, after_id: after }, signal }),
  job: (speaker) =>
    job.transform(({ id, processing_status, created_at, request_counts: counts }) => {
      const failed = counts.errored + counts.canceled + counts.expired
      return {
        batch: id,
        isEnded: processing_status === 'ended',
        requests: counts.processing + counts.succeeded + failed,
        completed: counts.succeeded,
        failed,
        absent: batchFailure(speaker, 'the results of the batch have no line for it', {
          kind: 'malformed-reply',
          isTransient: false,
          maybePaid: true,
        }),
        files: [`${ROUTE}/${id}/results`],
        token: null,
        createdMs: Date.parse(created_at),
      }
    }),
  result: (speaker) => result.transform(({ custom_id: key, result: of }) => ({ key, answer: answerOf(speaker, of) })),
}

/** Only what succeeded is charged, as the vendor says; of a server's error nobody knows, as anywhere. */
function answerOf(speaker: Speaker, of: z.infer<typeof result>['result']): BatchAnswer {
  switch (of.type) {
    case 'succeeded':
      return { body: of.message }
    case 'errored': {
      const known = errorBody.safeParse(of.error)
      const status = STATUS_OF.get(known.success ? known.data.error.type : '') ?? 500
      return httpError(speaker, { status, headers: new Headers() }, of.error, 0)
    }
    case 'canceled':
      return batchFailure(speaker, 'the batch was cancelled', { kind: 'stopped', isTransient: false, maybePaid: false })
    case 'expired':
      return batchFailure(speaker, 'the batch expired', { kind: 'timeout', isTransient: true, maybePaid: false })
  }
}
