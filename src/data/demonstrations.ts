/** @file Rows that show what is to be said: chat logs, prompts with a completion, problems with a solution. */
import { z } from 'zod'
import { type LabelledRow, type Reading, userPrompt } from './labelled.ts'
import type { Prompt } from './records.ts'
import { type Bad, messages, parseRow, text, textOrMessages } from './schema.ts'

const chat = z.object({ messages })

/** The last message, of the assistant, is learned; the others are the prompt. */
export function readChatDemonstration(value: unknown): Reading {
  const parsed = parseRow(chat, value)
  if ('bad' in parsed) return parsed
  const last = parsed.row.messages.at(-1)
  if (last?.role !== 'assistant') return { bad: 'messages: expected the last one to be of the assistant' }
  if (last.content === '') return { bad: 'messages: the last one is empty' }
  if (parsed.row.messages.length === 1) return { bad: 'messages: expected a prompt before the assistant' }
  return { labelled: demonstration({ messages: parsed.row.messages.slice(0, -1) }, last.content) }
}

const completion = z.object({ prompt: textOrMessages, completion: textOrMessages })

export function readCompletion(value: unknown): Reading {
  const parsed = parseCompletion(value)
  return 'bad' in parsed ? parsed : { labelled: demonstration(parsed.prompt, parsed.content) }
}

/** A prompt and what follows it. Text gets no template, as in TRL; messages do. */
export function parseCompletion(value: unknown): { readonly prompt: Prompt; readonly content: string } | Bad {
  const parsed = parseRow(completion, value)
  if ('bad' in parsed) return parsed
  const { prompt, completion: answer } = parsed.row
  if (typeof prompt === 'string' && typeof answer === 'string') return { prompt: { raw: prompt }, content: answer }
  if (typeof prompt === 'string' || typeof answer === 'string') {
    return { bad: 'expected prompt and completion both as text, or both as messages' }
  }
  const isOne = answer.length === 1 && answer[0].role === 'assistant' && answer[0].content !== ''
  if (!isOne || prompt.length === 0) return { bad: 'expected messages, and one of the assistant as completion' }
  return { prompt: { messages: prompt }, content: answer[0].content }
}

const solution = z.object({
  problem: text.nullish(),
  question: text.nullish(),
  solution: text.nullish(),
  answer: text.nullish(),
})

/** A problem for the chat template, and its solution; GSM8K calls it the answer. */
export function readSolution(value: unknown): Reading {
  const parsed = parseRow(solution, value)
  if ('bad' in parsed) return parsed
  const { problem, question, solution: steps, answer } = parsed.row
  const [asked, shown] = [problem ?? question, steps ?? answer]
  if (asked == null || shown == null) return { bad: 'expected a problem or question, and a solution or answer' }
  return { labelled: demonstration(userPrompt(asked), shown) }
}

function demonstration(prompt: Prompt, content: string): LabelledRow {
  const candidates = [{ content, rating: 1, terminal: true }]
  return { prompt, separator: '', steps: [{ candidates, next: null }] }
}
