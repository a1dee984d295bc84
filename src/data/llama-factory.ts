/**
 * @file LLaMA-Factory's ranking rows, in its two styles: alpaca (an instruction with two answers) and ShareGPT (a
 * conversation with two next messages); `src/llamafactory/data/converter.py` there.
 */
import { z } from 'zod'
import type { Reading } from './labelled.ts'
import { fromMessages, labelEnds } from './preference.ts'
import type { Message } from './records.ts'
import { list, parseRow, text } from './schema.ts'

const MAX_TURNS = 1000

const alpaca = z.object({
  instruction: z.string(),
  input: z.string().nullish(),
  system: z.string().nullish(),
  /** Rounds before: what was asked and answered. */
  history: list(z.tuple([z.string(), z.string()]), MAX_TURNS).nullish(),
  chosen: text,
  rejected: text,
})

const assistant = (content: string): Message => ({ role: 'assistant', content })

export function readAlpacaRanking(value: unknown): Reading {
  const parsed = parseRow(alpaca, value)
  if ('bad' in parsed) return parsed
  const { instruction, input, system, history, chosen, rejected } = parsed.row
  const asked = [instruction, input ?? ''].filter((part) => part !== '').join('\n')
  if (asked === '') return { bad: 'no prompt: instruction and input are empty' }
  const rounds = (history ?? []).flatMap(([question, answer]) => [
    { role: 'user', content: question },
    assistant(answer),
  ])
  const prompt = [...systemMessage(system), ...rounds, { role: 'user', content: asked }]
  return labelEnds(fromMessages(prompt, [assistant(chosen)], [assistant(rejected)]), value)
}

const ROLES: ReadonlyMap<string, string> = new Map([
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['assistant', 'assistant'],
  ['system', 'system'],
])

/** Tools' turns have other names, and would change the template. */
export const turn = z
  .object({ from: z.string(), value: z.string() })
  .refine(({ from }) => ROLES.has(from), 'unsupported: expected from human, gpt, user, assistant or system')
  .transform(({ from, value }) => ({ role: ROLES.get(from) ?? from, content: value }))

const sharegpt = z.object({
  conversations: list(turn, MAX_TURNS),
  system: z.string().nullish(),
  chosen: turn,
  rejected: turn,
})

export function readSharegptRanking(value: unknown): Reading {
  const parsed = parseRow(sharegpt, value)
  if ('bad' in parsed) return parsed
  const { conversations, system, chosen, rejected } = parsed.row
  if (conversations.length === 0) return { bad: 'no prompt: conversations is empty' }
  const own = conversations[0].role === 'system' ? [] : systemMessage(system)
  return labelEnds(fromMessages([...own, ...conversations], [chosen], [rejected]), value)
}

function systemMessage(content: string | null | undefined): readonly Message[] {
  return content ? [{ role: 'system', content }] : []
}
