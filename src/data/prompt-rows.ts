/** @file Questions to be answered, with the answer where it is known: GSM8K, MATH, or any `{prompt, answer}` rows. */
import { z } from 'zod'
import { sha256 } from '../base/hash.ts'
import { extractAnswer } from '../text/answer/extract.ts'
import { problemOfMessages } from './judge-row.ts'
import { userPrompt } from './labelled.ts'
import type { Prompt } from './records.ts'
import { type Bad, parseRow, textOrMessages } from './schema.ts'

/** A question and what is known of it. */
export interface Question {
  /** SHA-256 of the question: equal questions have equal ids, whatever file they are in. */
  readonly id: string
  /** The question as text. */
  readonly problem: string
  readonly prompt: Prompt
  /** Null where nobody knows. */
  readonly answer: string | null
}

const asked = textOrMessages.nullish()
const known = z.union([z.string(), z.number()]).nullish()

/** PRM800K's. */
const questionRecord = z.object({ problem: z.string().min(1), ground_truth_answer: z.string().nullish() })

const schema = z.object({
  prompt: asked,
  problem: asked,
  question: z.union([textOrMessages, questionRecord]).nullish(),
  answer: known,
  ground_truth: known,
  ground_truth_answer: known,
  final_answer: known,
  solution: z.string().nullish(),
})

/**
 * The question of a row, from its column prompt, problem or question (text is one message of the user). The answer is
 * what `answer`, `ground_truth`, `ground_truth_answer` or `final_answer` holds, or what a solution in `answer` or
 * `solution` ends with.
 */
export function readQuestion(value: unknown): { readonly question: Question } | Bad {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { row } = parsed
  const record = questionRecord.safeParse(row.question).data
  const plain = textOrMessages.safeParse(row.question).data
  const text = row.prompt ?? row.problem ?? record?.problem ?? plain
  if (text == null) return { bad: 'expected a prompt, problem or question' }
  const prompt: Prompt = typeof text === 'string' ? userPrompt(text) : { messages: text }
  const problem = typeof text === 'string' ? text : problemOfMessages(text)
  const given = row.answer ?? row.ground_truth ?? row.ground_truth_answer ?? row.final_answer
  const answer = answerOf(given ?? record?.ground_truth_answer, row.solution)
  return { question: { id: sha256(problem), problem, prompt, answer } }
}

/** The answer itself: GSM8K's column holds the whole solution. */
function answerOf(given: string | number | null | undefined, solution: string | null | undefined): string | null {
  if (given == null) return solution == null ? null : extractAnswer(solution)
  const text = String(given).trim()
  if (text === '') return null
  return extractAnswer(text) ?? text
}
