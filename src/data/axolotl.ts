/** @file axolotl's preference rows of type `chat_template.default`: a conversation and two next messages. */
import { z } from 'zod'
import type { Reading } from './labelled.ts'
import { fromMessages, labelEnds } from './preference.ts'
import { message, messages, parseRow } from './schema.ts'

const schema = z.object({ messages, chosen: message, rejected: message })

export function readAxolotl(value: unknown): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { messages: prompt, chosen, rejected } = parsed.row
  return labelEnds(fromMessages(prompt, [chosen], [rejected]), value)
}
