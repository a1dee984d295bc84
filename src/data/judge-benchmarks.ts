/** @file Solutions with errors that people found: ProcessBench, PRMBench, MR-GSM8K, BIG-Bench-Mistake, PRM800K. */
import { z } from 'zod'
import { type HumanLabel, type JudgeReading, MAX_STEPS, makeRow } from './judge-row.ts'
import { parsePrm800k } from './prm800k.ts'
import { list, parseRow, text } from './schema.ts'

/** Steps may be empty here: labels count them. */
export const givenSteps = list(z.string(), MAX_STEPS)

const processBench = z.object({
  problem: text,
  steps: givenSteps,
  label: z.int().min(-1).nullish(),
  final_answer_correct: z.boolean().nullish(),
})

/** `label` counts from 0, −1 is none, null is not known (huggingface.co/datasets/Qwen/ProcessBench). */
export function readProcessBench(value: unknown): JudgeReading {
  const parsed = parseRow(processBench, value)
  if ('bad' in parsed) return parsed
  const { problem, steps, label, final_answer_correct } = parsed.row
  return makeRow({ problem, steps, label: label ?? undefined, finalCorrect: final_answer_correct })
}

const prmBench = z.object({
  modified_question: text,
  modified_process: givenSteps,
  error_steps: list(z.int().min(1), MAX_STEPS),
  classification: text.nullish(),
})

/** `error_steps` counts from 1 and lists every wrong step; the others are correct (hitsmy/PRMBench). */
export function readPrmBench(value: unknown): JudgeReading {
  const parsed = parseRow(prmBench, value)
  if ('bad' in parsed) return parsed
  const { modified_question: problem, modified_process: steps, error_steps: wrong, classification } = parsed.row
  const beyond = wrong.find((step) => step > steps.length)
  if (beyond !== undefined) return { bad: `error_steps names step ${beyond} of a solution of ${steps.length}` }
  const isWrong = new Set(wrong)
  const labels = steps.map((_, index): HumanLabel => (isWrong.has(index + 1) ? 'incorrect' : 'correct'))
  return makeRow({ problem, steps, labels, category: classification })
}

const correctness = z.literal(['correct', 'wrong']).nullish()

const mrGsm8k = z
  .object({
    question: text,
    model_output_steps: givenSteps,
    model_output_solution_first_error_step: z.union([z.int().min(1), z.literal('N/A')], 'expected a step or N/A'),
    model_output_solution_correctness: correctness,
    model_output_answer_correctness: correctness,
  })
  .refine(
    (row) => row.model_output_solution_first_error_step !== 'N/A' || row.model_output_solution_correctness !== 'wrong',
    'model_output_solution_first_error_step: expected a step in a wrong solution, found N/A',
  )

/** The first error counts from 1, `N/A` is none (github.com/dvlab-research/MR-GSM8K). */
export function readMrGsm8k(value: unknown): JudgeReading {
  const parsed = parseRow(mrGsm8k, value)
  if ('bad' in parsed) return parsed
  const { row } = parsed
  const first = row.model_output_solution_first_error_step
  const answer = row.model_output_answer_correctness
  return makeRow({
    problem: row.question,
    steps: row.model_output_steps,
    label: first === 'N/A' ? -1 : first - 1,
    finalCorrect: answer == null ? null : answer === 'correct',
  })
}

const bigBenchMistake = z.object({ input: text, steps: givenSteps, mistake_index: z.int().min(0).nullable() })

/** `mistake_index` counts from 0, null is none (github.com/WHGTyen/BIG-Bench-Mistake). */
export function readBigBenchMistake(value: unknown): JudgeReading {
  const parsed = parseRow(bigBenchMistake, value)
  if ('bad' in parsed) return parsed
  const { input, steps, mistake_index } = parsed.row
  return makeRow({ problem: input, steps, label: mistake_index ?? -1 })
}

const RATINGS = new Map<number, HumanLabel>([
  [1, 'correct'],
  [0, 'neutral'],
  [-1, 'incorrect'],
])

/**
 * The solution that was gone on with: at each step the chosen completion with its rating, or what a person wrote, which
 * is correct (PRM800K README: a human step counts where none is chosen). In phase 2 the rating stops at the first error
 * without a choice: that is the first completion, and the solution goes on as it was generated, without labels.
 */
export function readPrm800kSolution(value: unknown): JudgeReading {
  const parsed = parsePrm800k(value)
  if (!('row' in parsed)) return parsed
  const { question, label } = parsed.row
  const isStopped = label.finish_reason === 'found_error'
  const steps: string[] = []
  const labels: HumanLabel[] = []
  for (const { completions, human_completion: human, chosen_completion: chosen } of label.steps) {
    const taken = chosen ?? (isStopped && human == null ? 0 : null)
    const completion = taken === null ? undefined : completions?.[taken]
    if (completion === undefined && human == null) break
    steps.push(completion?.text ?? (typeof human === 'string' ? human : (human?.text ?? '')))
    labels.push(completion === undefined ? 'correct' : (RATINGS.get(completion.rating ?? Number.NaN) ?? null))
  }
  if (steps.length === 0) return { dropped: 'no step was chosen' }
  const rest = isStopped ? (question.pre_generated_steps ?? []).slice(steps.length) : []
  return makeRow({
    problem: question.problem,
    steps: [...steps, ...rest],
    labels: [...labels, ...rest.map(() => null)],
  })
}
