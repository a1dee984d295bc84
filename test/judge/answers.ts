/** @file What a scripted judge answers: it reads the fenced steps of a question and labels them by a rule. */
import { z } from 'zod'
import type { StepLabel } from '../../src/data/judgement.ts'
import type { Asked } from './protocols.ts'

const messages = z.array(z.object({ role: z.string(), content: z.string() }))

export interface Seen {
  readonly mark: string
  readonly steps: readonly string[]
  /** What stands outside the fences. */
  readonly outside: string
}

/** The last message of a question, taken apart as the fences say. */
export function seeQuestion(asked: Pick<Asked, 'question'>): Seen {
  const content = messages.parse(JSON.parse(asked.question)).at(-1)?.content ?? ''
  const mark = /^MARK is ([0-9a-f]{32})$/m.exec(content)?.[1] ?? ''
  const steps: string[] = []
  let outside = ''
  let rest = content
  const opening = new RegExp(`<<<([A-Z]+(?: [A-Z0-9]+)*) ${mark}>>>\n`)
  for (let found = opening.exec(rest); found !== null; found = opening.exec(rest)) {
    const [head, name] = found
    const closing = `\n<<<END ${name} ${mark}>>>`
    const start = found.index + head.length
    const end = rest.indexOf(closing, start - 1)
    outside += rest.slice(0, found.index)
    if (name.startsWith('STEP')) steps.push(rest.slice(start, end))
    rest = rest.slice(end + closing.length)
  }
  return { mark, steps, outside: outside + rest }
}

/** Answers the question about all steps; `labelOf` is the scripted judge's mind. */
export function labelSteps(seen: Seen, labelOf: (step: string) => StepLabel): string {
  const labels = seen.steps.map(labelOf)
  const wrong = labels.indexOf('incorrect')
  const judged = wrong < 0 ? labels : labels.slice(0, wrong + 1)
  const steps = judged.map((label, at) => ({ step: at + 1, reason: `seen ${at + 1}`, label }))
  return JSON.stringify({ mark: seen.mark, steps })
}
