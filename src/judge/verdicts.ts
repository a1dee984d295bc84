/**
 * @file How a process reward model reads a solution: problem and steps in a fixed frame, and after each step a verdict of
 * one token, for right or for wrong. Training and judging write solutions down by the same frame, which is kept in
 * `stepdpo_prm.json` beside the weights.
 */
import { z } from 'zod'
import { InputError, UserError } from '../base/errors.ts'
import type { Row } from '../model/row.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import type { ScoreMeaning, Solution } from './port.ts'
import { framedProblem, problemFrame } from './problem-frame.ts'
import { solutionTree } from './solution-tree.ts'

export const PRM_FILE = 'stepdpo_prm.json'

export const verdictSchema = z.strictObject({
  version: z.literal(1),
  /** Single tokens of the vocabulary. */
  right: z.string().min(1),
  wrong: z.string().min(1),
  /** What the chat template writes around the problem. */
  before: z.string(),
  after: z.string(),
  step_separator: z.string(),
  /** What the labels were the chance of. */
  meaning: z.enum(['correctness', 'value']),
})

/** The frame as it stands in the file. */
export type VerdictSettings = z.infer<typeof verdictSchema>

type Encoder = Pick<
  Tokenizer,
  'rawPrompt' | 'encodeContinuation' | 'encodeRenderedContinuation' | 'hasChatTemplate' | 'renderChat'
>

/** The frame in tokens. Data are encoded as plain text: no special token comes from them. */
export interface VerdictFrame {
  prompt(problem: string): readonly number[]
  /** A step with its separator. */
  step(text: string): readonly number[]
  readonly right: number
  readonly wrong: number
}

/** Words for right and for wrong, the first two that are single tokens are taken. */
const WORDS = [
  ['+', '-'],
  ['Yes', 'No'],
  ['1', '0'],
] as const

/** What a model is taught with. @throws UserError as `problemFrame`, and where no two words are single tokens. */
export function newVerdicts(encoder: Encoder, separator: string, meaning: ScoreMeaning): VerdictSettings {
  const frame = problemFrame(encoder)
  const words = WORDS.find(([right, wrong]) =>
    [right, wrong].every((word) => encoder.encodeContinuation(word).length === 1),
  )
  if (words === undefined) {
    const tried = WORDS.map(([right, wrong]) => `${right} and ${wrong}`).join(', ')
    throw new UserError(`objective prm: expected two words that are single tokens of the model, found none of ${tried}`)
  }
  const [right, wrong] = words
  return { version: 1, right, wrong, ...frame, step_separator: separator, meaning }
}

/** @param file where the settings stand. @throws InputError where their words are not two tokens of this tokenizer. */
export function openVerdicts(settings: VerdictSettings, encoder: Encoder, file: string): VerdictFrame {
  const { step_separator: separator } = settings
  const [right, wrong] = [settings.right, settings.wrong].map((word) => {
    const ids = encoder.encodeContinuation(word)
    if (ids.length === 1) return ids[0]
    throw new InputError(
      { file },
      'words that are single tokens of the model',
      `${JSON.stringify(word)}, which is ${ids.length}`,
    )
  })
  if (right === wrong) throw new InputError({ file }, 'two words', `${JSON.stringify(settings.right)} for both`)
  return {
    prompt: framedProblem(settings, encoder),
    step: (text) => encoder.encodeContinuation(text + separator),
    right,
    wrong,
  }
}

/** The tree of a solution; right and wrong after each step that is asked about are scored, in this order. */
export function verdictTree({ problem, steps }: Solution, asked: readonly boolean[], frame: VerdictFrame): Row {
  return solutionTree({
    prompt: frame.prompt(problem),
    steps: steps.map(frame.step),
    asked,
    question: [],
    answers: [frame.right, frame.wrong],
  })
}
