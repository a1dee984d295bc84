/**
 * @file UltraInteract's pairs (huggingface.co/datasets/openbmb/UltraInteract_pair): what was said between a user, who also
 * reports what the environment answers, and an assistant, and two next actions of the assistant.
 */
import { z } from 'zod'
import type { Reading } from './labelled.ts'
import { turn } from './llama-factory.ts'
import { fromMessages, labelEnds } from './preference.ts'
import { list, parseRow, text } from './schema.ts'

const MAX_TURNS = 1000

const schema = z.object({ trajectory: list(turn, MAX_TURNS), chosen: text, rejected: text })

/** An action is a whole turn, after which the environment speaks: both end it. */
export function readUltraInteract(value: unknown): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { trajectory, chosen, rejected } = parsed.row
  const action = (content: string) => [{ role: 'assistant', content }]
  return labelEnds(fromMessages(trajectory, action(chosen), action(rejected)), value)
}
