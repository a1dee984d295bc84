/** @file A chat model as a judge of steps: asks the questions of a mode, as often as votes are wanted, and merges them. */
import { askReadably } from './ask-readably.ts'
import type { Asker, ChatRequest } from './chat.ts'
import { mergeAll } from './merge-votes.ts'
import type { Mode, Question, Shot } from './modes.ts'
import { addUsage, NO_USAGE, type Solution, type StepJudge, type StepVerdict, type Usage } from './port.ts'
import { unaskedSteps } from './unasked.ts'

export interface ModelJudgeOptions {
  readonly name: string
  readonly asker: Asker
  readonly mode: Mode
  readonly shots: readonly Shot[]
  /** Replies to each question. */
  readonly votes: number
  readonly temperature: number
  readonly topP: number | null
  readonly seed: number | null
  readonly maxTokens: number
}

interface Answer {
  readonly verdicts: readonly StepVerdict[]
  readonly usage: Usage
}

/** What is sent for a question. `sample` tells votes apart. */
export function requestOf(
  { messages, schema, topLogprobs }: Question,
  options: ModelJudgeOptions,
  sample: number,
): ChatRequest {
  const { maxTokens, temperature, topP, seed } = options
  return { messages, schema, maxTokens, temperature, topP, seed, topLogprobs, sample }
}

/** The questions about a solution: none of steps that are decided without asking. */
export function questionsOf(
  solution: Solution,
  { mode, shots }: Pick<ModelJudgeOptions, 'mode' | 'shots'>,
): Question[] {
  const unasked = unaskedSteps(solution.steps)
  return mode.questions(solution, shots).filter(({ steps }) => steps.some((at) => unasked[at] === undefined))
}

/** One reply to a question. */
async function vote(
  question: Question,
  options: ModelJudgeOptions,
  sample: number,
  signal: AbortSignal,
): Promise<Answer> {
  const requests = [sample, options.votes + sample].map((draw) => requestOf(question, options, draw))
  const heard = await askReadably(options.asker, requests, question.read, signal)
  const { usage } = heard
  return { verdicts: 'value' in heard ? heard.value : question.steps.map(() => heard.failed), usage }
}

async function answer(question: Question, options: ModelJudgeOptions, signal: AbortSignal): Promise<Answer> {
  const samples = Array.from({ length: options.votes }, (_, sample) => sample)
  const answers = await Promise.all(samples.map((sample) => vote(question, options, sample, signal)))
  return {
    verdicts: mergeAll(answers.map(({ verdicts }) => verdicts)),
    usage: answers.reduce((sum, { usage }) => addUsage(sum, usage), NO_USAGE),
  }
}

export function modelJudge(options: ModelJudgeOptions): StepJudge {
  return {
    name: options.name,
    meaning: 'correctness',
    judge: async (solution, signal) => {
      const questions = questionsOf(solution, options)
      const answers = await Promise.all(questions.map((question) => answer(question, options, signal)))
      const found = new Map<number, StepVerdict>()
      for (const [index, { verdicts }] of answers.entries()) {
        for (const [position, at] of questions[index].steps.entries()) found.set(at, verdicts[position])
      }
      const steps = unaskedSteps(solution.steps).map((unasked, at): StepVerdict => {
        const verdict = found.get(at)
        return verdict === undefined || unasked !== undefined ? { state: 'abstained', why: unasked ?? '' } : verdict
      })
      return { steps, usage: answers.reduce((sum, { usage }) => addUsage(sum, usage), NO_USAGE) }
    },
  }
}
