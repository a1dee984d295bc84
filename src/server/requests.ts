/** @file What requests may ask, checked: queries are texts of strangers. */
import { z } from 'zod'
import { MAX_STEPS } from '../data/judge-row.ts'
import { list } from '../data/schema.ts'
import { MAX_LIMIT } from './page.ts'

const number = z.coerce.number().min(-1e300).max(1e300)
const whole = z.coerce.number().int().min(0).max(1e9)
const yesNo = z.enum(['true', 'false']).transform((text) => text === 'true')
const word = z.string().max(1000)

const part = {
  offset: whole.optional(),
  limit: whole.max(MAX_LIMIT).optional(),
}
const order = z.enum(['up', 'down']).optional()

export const pageQuery = z.object(part)

export const problemQuery = z.object({ ...part, q: word.optional() })

export const traceQuery = z.object({
  ...part,
  q: word.optional(),
  judge: word.optional(),
  verdict: z.enum(['c', 'n', 'i', 'a', 'f', '-']).optional(),
  min_score: number.optional(),
  max_score: number.optional(),
  differs: yesNo.optional(),
  answer: z.enum(['right', 'wrong', 'unknown']).optional(),
  labelled: yesNo.optional(),
  flagged: yesNo.optional(),
  source: whole.optional(),
  problem: word.optional(),
  sort: z.enum(['file', 'score', 'steps', 'first_error']).optional(),
  order,
})

export const pairQuery = z.object({
  ...part,
  q: word.optional(),
  strategy: word.optional(),
  dropped: yesNo.optional(),
  contradicted: yesNo.optional(),
  min_margin: number.optional(),
  source: whole.optional(),
  sort: z.enum(['file', 'margin']).optional(),
  order,
})

export const seriesQuery = z.object({ points: whole.min(2).optional() })

export const eventsQuery = z.object({ from: z.literal('start').optional() })

const MAX_COMPARED = 12
export const compareQuery = z.object({
  runs: z
    .string()
    .max(1000)
    .transform((text) => text.split(',').slice(0, MAX_COMPARED)),
})

export const orderQuery = z.object({ order: z.enum(['file', 'uncertain', 'suspicious']).default('file') })

export const loginQuery = z.object({ token: z.string().max(200) })

export const pairReview = z.strictObject({ action: z.enum(['drop', 'restore']) })

export const skipInput = z.strictObject({ trace: word })

export const nothing = z.strictObject({})

export const labelInput = z.strictObject({
  trace: word,
  ratings: list(z.literal([-1, 0, 1]).nullable(), MAX_STEPS),
  flagged: z.boolean(),
  badProblem: z.boolean(),
  ownStep: z.strictObject({ step: z.int().min(0).max(MAX_STEPS), text: z.string().min(1).max(20_000) }).nullable(),
  judgeShown: z.boolean(),
})
