/** @file Rows to judge, told apart by their columns: solutions in steps or in one piece, chat logs, benchmarks. */
import { z } from 'zod'
import type { Splitter } from '../text/steps.ts'
import {
  givenSteps,
  readBigBenchMistake,
  readMrGsm8k,
  readPrm800kSolution,
  readPrmBench,
  readProcessBench,
} from './judge-benchmarks.ts'
import { type HumanLabel, type JudgeReading, makeRow, problemOfMessages, stepsOf } from './judge-row.ts'
import type { Message } from './records.ts'
import { readRows } from './rows.ts'
import { isColumns, list, parseRow, text } from './schema.ts'

export type JudgeFormatName =
  | 'prm800k'
  | 'processbench'
  | 'prmbench'
  | 'mr-gsm8k'
  | 'bigbench-mistake'
  | 'chat'
  | 'solution'

interface JudgeFormat {
  readonly name: JudgeFormatName
  matches(row: Readonly<Record<string, unknown>>): boolean
  read(value: unknown, splitter: Splitter): JudgeReading
}

/** In the order in which they are tried. A row that none of them matches is read as a solution. */
const judgeFormats: readonly JudgeFormat[] = [
  {
    name: 'prm800k',
    matches: ({ question, label }) => isColumns(question) && isColumns(label),
    read: readPrm800kSolution,
  },
  { name: 'processbench', matches: columns('problem', 'steps', 'label'), read: readProcessBench },
  { name: 'prmbench', matches: columns('modified_process', 'error_steps'), read: readPrmBench },
  { name: 'mr-gsm8k', matches: columns('question', 'model_output_steps'), read: readMrGsm8k },
  { name: 'bigbench-mistake', matches: columns('input', 'steps', 'mistake_index'), read: readBigBenchMistake },
  { name: 'chat', matches: columns('messages'), read: readChat },
]

/** The columns are there, perhaps null. */
function columns(...names: readonly string[]) {
  return (row: Readonly<Record<string, unknown>>): boolean => names.every((name) => Object.hasOwn(row, name))
}

const solutionFormat: JudgeFormat = { name: 'solution', matches: () => true, read: readSolution }

/**
 * Every row of a file, found by its columns; what cannot be judged comes as `bad`, with its line.
 * @throws UserError and InputError as `readRows`.
 */
export async function* readJudgeRows(
  path: string,
  splitter: Splitter,
): AsyncGenerator<{ readonly line: number } & JudgeReading> {
  for await (const row of readRows(path)) {
    if ('problem' in row) yield { line: row.line, bad: row.problem }
    else yield { line: row.line, ...readJudgeRow(row.value, splitter) }
  }
}

export function readJudgeRow(value: unknown, splitter: Splitter): JudgeReading {
  return detectJudgeFormat(value).read(value, splitter)
}

/** The format of a row, by its columns alone. */
export function detectJudgeFormat(value: unknown): JudgeFormat {
  if (!isColumns(value)) return solutionFormat
  return judgeFormats.find((format) => format.matches(value)) ?? solutionFormat
}

/** Content is text, or parts of text as OpenAI writes them; an assistant that calls a tool may say nothing. */
const textParts = list(z.object({ type: z.literal(['text', 'input_text', 'output_text']), text: z.string() }), 1000)
const spoken = z
  .union([z.string(), textParts, z.null()], 'expected text, or parts that are all text')
  .transform((content) => (Array.isArray(content) ? content.map((part) => part.text).join('') : (content ?? '')))
const chatMessages = list(
  z.object({ role: text, content: spoken.optional().transform((content) => content ?? '') }),
  1000,
)

const chat = z.object({ messages: chatMessages })

/** The last assistant message is judged, and what stands before it is the problem. */
function readChat(value: unknown, splitter: Splitter): JudgeReading {
  const parsed = parseRow(chat, value)
  if ('bad' in parsed) return parsed
  const { messages } = parsed.row
  const last = messages.findLastIndex(({ role }) => role === 'assistant')
  if (last < 0) return { bad: 'messages: expected one of an assistant, found none' }
  const problem = problemOfMessages(messages.slice(0, last))
  if (problem === '') return { bad: 'messages: expected a problem before the assistant, found none' }
  return makeRow({ problem, steps: stepsOf(messages[last].content, splitter) })
}

const spokenColumn = z.union([text, chatMessages], 'expected text or a list of messages').nullish()
const labelColumn = z.union([z.boolean(), z.number(), z.null()], 'expected true, false, a number or null')

const solution = z.object({
  prompt: spokenColumn,
  problem: text.nullish(),
  question: text.nullish(),
  steps: givenSteps.nullish(),
  completions: givenSteps.nullish(),
  completion: z.union([z.string(), chatMessages], 'expected text or a list of messages').nullish(),
  labels: list(labelColumn, 1000).nullish(),
  reference: z.string().nullish(),
  final_answer_correct: z.boolean().nullish(),
})

/**
 * `prompt`, `problem` or `question`, with `steps` (our rollouts), `completions` (TRL's stepwise rows) or one
 * `completion` to be split, and where they are there `labels`, `reference` and `final_answer_correct`.
 */
function readSolution(value: unknown, splitter: Splitter): JudgeReading {
  const parsed = parseRow(solution, value)
  if ('bad' in parsed) return parsed
  const { row } = parsed
  const asked = row.prompt ?? row.problem ?? row.question
  const steps = row.steps ?? row.completions ?? stepsOfCompletion(row.completion, splitter)
  if (asked == null || steps == null) return { bad: `expected ${EXPECTED}, found ${columnsOf(value)}` }
  if (row.labels != null && row.labels.length !== steps.length) {
    return { bad: `expected one label for each of ${steps.length} steps, found ${row.labels.length}` }
  }
  return makeRow({
    problem: typeof asked === 'string' ? asked : problemOfMessages(asked),
    steps,
    reference: row.reference,
    finalCorrect: row.final_answer_correct,
    ...(row.labels == null ? {} : { labels: row.labels.map(labelOf) }),
  })
}

const EXPECTED = 'columns messages, or one of prompt, problem, question and one of steps, completions, completion'

function columnsOf(value: unknown): string {
  return (isColumns(value) && Object.keys(value).slice(0, 8).join(', ')) || 'none'
}

function stepsOfCompletion(completion: string | readonly Message[] | null | undefined, splitter: Splitter) {
  if (completion == null) return null
  if (typeof completion === 'string') return stepsOf(completion, splitter)
  const last = completion.findLast(({ role }) => role === 'assistant')
  return last === undefined ? null : stepsOf(last.content, splitter)
}

/** As training reads stepwise rows: true and what is above 0 is right, all else is wrong. */
function labelOf(label: boolean | number | null): HumanLabel {
  return label === null ? null : Number(label) > 0 ? 'correct' : 'incorrect'
}
