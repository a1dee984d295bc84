/** @file ms-swift's preference rows: a conversation that ends with the chosen answer, and what is rejected instead. */
import { z } from 'zod'
import type { Reading } from './labelled.ts'
import { fromMessages, labelEnds, parsePreference } from './preference.ts'
import { messages, parseRow, text } from './schema.ts'

const schema = z
  .object({ messages, rejected_response: text.nullish(), rejected_messages: messages.nullish() })
  .refine((row) => row.rejected_response != null || row.rejected_messages != null, 'expected what is rejected')

export function readMsSwift(value: unknown): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { messages: chosen, rejected_response: response, rejected_messages: rejected } = parsed.row
  if (response == null) return labelEnds(parsePreference({ chosen, rejected }), value)
  const answer = { role: 'assistant', content: response }
  return labelEnds(fromMessages(chosen.slice(0, -1), chosen.slice(-1), [answer]), value)
}
