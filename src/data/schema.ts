/** @file The pieces that row schemas are made of. Their checks are bounded: rows come from strangers. */
import { z } from 'zod'

/** Why a row does not fit its format, in one short line. */
export interface Bad {
  readonly bad: string
}

/** Text that is there. */
export const text = z.string().min(1)

/** Text of a labelled solution, where line ends must not tell equal steps apart. */
export const stepText = text.transform(toLineFeeds)

export function toLineFeeds(content: string): string {
  return content.replaceAll('\r\n', '\n')
}

export const message = z.object({ role: text, content: z.string() })

export const messages = list(message, 1000)

/** Text, or messages for the chat template. */
export const textOrMessages = z.union([text, messages], 'expected text or a list of messages')

export const tokenIds = z.custom<readonly number[]>(
  (value) => Array.isArray(value) && value.length > 0 && value.every((id) => Number.isSafeInteger(id) && id >= 0),
  'expected a list of token ids',
)

/** A list whose length is checked first: zod makes a record for every element that is wrong. */
export function list<T>(element: z.ZodType<T>, maximum: number) {
  const isShort = (value: unknown) => Array.isArray(value) && value.length <= maximum
  const error = ({ input }: { input?: unknown }): string =>
    Array.isArray(input)
      ? `expected a list of at most ${maximum}, found one of ${input.length}`
      : `expected a list, found ${input === null || input === undefined ? 'none' : typeof input}`
  return z.custom<unknown[]>(isShort, { error }).pipe(z.array(element))
}

/** Checks a row: unknown columns are left out, and the first thing that is wrong comes back. */
export function parseRow<T>(schema: z.ZodType<T>, value: unknown): { readonly row: T } | Bad {
  const result = schema.safeParse(value)
  if (result.success) return { row: result.data }
  const [issue] = result.error.issues
  const reason = issue.path.length > 0 ? `${issue.path.join('.')}: ${issue.message}` : issue.message
  return { bad: reason.slice(0, 200) }
}

/** A row, or an object in one, with its columns unchecked. */
export type Columns = Readonly<Record<string, unknown>>

export function isColumns(value: unknown): value is Columns {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
