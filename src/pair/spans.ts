/** @file Where the steps of a rollout stand in its text, so that prefix, step and rest join without the loss of a character. */
import type { Rollout } from '../data/rollout.ts'

export interface StepSpan {
  /** All that stands before the step, the white space before it included. */
  readonly prefix: string
  /** The step with what follows it up to the next one; of the last step of a finished solution, no white space at its end. */
  readonly content: string
  /** Whether it ends the solution. */
  readonly terminal: boolean
  /** It was cut at the most tokens allowed. */
  readonly isCut: boolean
}

/** @throws Error where the steps are not those of the completion. */
export function stepSpans({
  id,
  completion,
  steps,
  finish,
}: Pick<Rollout, 'id' | 'completion' | 'steps' | 'finish'>): StepSpan[] {
  const starts: number[] = []
  let from = 0
  for (const step of steps) {
    const start = completion.indexOf(step, from)
    if (start < 0) throw new Error(`rollout ${id}: its steps are not in its completion`)
    starts.push(start)
    from = start + step.length
  }
  return starts.map((start, at) => {
    const isLast = at === starts.length - 1
    const content = completion.slice(start, isLast ? undefined : starts[at + 1])
    const terminal = isLast && finish === 'stop'
    return {
      prefix: completion.slice(0, start),
      content: terminal ? content.trimEnd() : content,
      terminal,
      isCut: isLast && finish === 'length',
    }
  })
}
