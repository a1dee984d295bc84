/** @file What a model's chat template writes around a problem, so that the problem itself can be encoded as plain text. */
import { UserError } from '../base/errors.ts'
import type { Tokenizer } from '../text/tokenizer.ts'

/** Rendered text before and after the problem. */
export interface ProblemFrame {
  readonly before: string
  readonly after: string
}

/** Stands for the problem while the template is rendered. */
const PROBLEM = 'stepwise-problem'

/**
 * The frame of a question of the user; without a template, the problem is a line.
 * @throws UserError where the template does not write the problem once.
 */
export function problemFrame(tokenizer: Pick<Tokenizer, 'hasChatTemplate' | 'renderChat'>): ProblemFrame {
  const messages = [{ role: 'user', content: PROBLEM }]
  const text = tokenizer.hasChatTemplate
    ? tokenizer.renderChat(messages, { addGenerationPrompt: true })
    : `${PROBLEM}\n`
  const [before, after, ...others] = text.split(PROBLEM)
  if (after !== undefined && others.length === 0) return { before, after }
  throw new UserError('the chat template of the model does not write a message of the user just once')
}

/** The tokens of problems in a frame: no special token comes from a problem. */
export function framedProblem(
  { before, after }: ProblemFrame,
  tokenizer: Pick<Tokenizer, 'rawPrompt' | 'encodeContinuation' | 'encodeRenderedContinuation'>,
): (problem: string) => readonly number[] {
  const [first, last] = [tokenizer.rawPrompt(before), tokenizer.encodeRenderedContinuation(after)]
  return (problem) => [...first, ...tokenizer.encodeContinuation(problem), ...last]
}
