/** @file The questions of a file, each once. */
import { InputError, showPlace, UserError } from '../base/errors.ts'
import { findDataFile } from '../data/locate.ts'
import { type Question, readQuestion } from '../data/prompt-rows.ts'
import { readRows } from '../data/rows.ts'
import type { StageEvent, StageName } from '../data/stage-events.ts'

export interface QuestionOptions {
  readonly stage: StageName
  readonly limit?: number
  /** The first bad row is an error. */
  readonly strict: boolean
}

/**
 * Reads questions, in the order of the file; what is left out comes as events.
 * @throws UserError where there is none, InputError for the first bad row where `strict`.
 */
export async function* loadQuestions(
  path: string,
  { stage, limit, strict }: QuestionOptions,
): AsyncGenerator<StageEvent, Question[]> {
  const file = findDataFile(path)
  const questions = new Map<string, Question>()
  const dropped = new Map<string, { count: number; example: string }>()
  let total = 0
  const drop = (reason: string, line: number): void => {
    const known = dropped.get(reason) ?? { count: 0, example: showPlace({ file, line }) }
    dropped.set(reason, { ...known, count: known.count + 1 })
  }
  for await (const row of readRows(file)) {
    if (questions.size === limit) break
    total++
    const reading = 'problem' in row ? { bad: row.problem } : readQuestion(row.value)
    if ('bad' in reading) {
      if (strict) throw new InputError({ file, line: row.line }, 'a question', reading.bad)
      drop(reading.bad, row.line)
    } else if (questions.has(reading.question.id)) drop('the same question again', row.line)
    else questions.set(reading.question.id, reading.question)
  }
  for (const [reason, facts] of dropped) yield { type: 'items-dropped', stage, what: 'rows', total, reason, ...facts }
  if (questions.size > 0) return [...questions.values()]
  const [reason] = dropped.keys()
  throw new UserError(`${file}: there is no question${reason === undefined ? '' : `: ${reason}`}`)
}
