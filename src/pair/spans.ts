/** @file Where the steps of a rollout stand in its text, so that prefix, step and rest join without the loss of a character. */
import type { Rollout } from '../data/rollout.ts'

export interface StepSpan {
  /** All that stands before the step. */
  readonly prefix: string
  /** What the policy wrote of the step, and all that follows up to the next one; empty where it was given the step. */
  readonly content: string
  /** Whether it ends the solution. */
  readonly terminal: boolean
  /** It was cut at the most tokens allowed. */
  readonly isCut: boolean
}

/**
 * The steps of a completion as pieces of it: each prefix and its content are the next prefix. The first piece begins
 * where the policy began to write. Undefined where the steps do not stand in the completion one after another.
 */
export function stepSpans({
  completion,
  steps,
  finish,
  given = 0,
}: Pick<Rollout, 'completion' | 'steps' | 'finish' | 'given'>): StepSpan[] | undefined {
  const starts: number[] = []
  let from = 0
  for (const step of steps) {
    const start = completion.indexOf(step, from)
    if (start < 0) return undefined
    starts.push(start)
    from = start + step.length
  }
  return starts.map((start, at) => {
    const isLast = at === starts.length - 1
    const first = at === 0 ? given : Math.max(given, start)
    const end = isLast ? completion.length : Math.max(given, starts[at + 1])
    return {
      prefix: completion.slice(0, first),
      content: completion.slice(first, end),
      terminal: isLast && finish === 'stop',
      isCut: isLast && finish === 'length',
    }
  })
}

/** What two texts have in common that differ in white space only: such a pair would teach nothing else. */
export function withoutSpace(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
