/**
 * @file RLHFlow's rows for process reward models: a conversation in which each message of the user is a step, the first one
 * with the question before it, and the assistant answers + or − (github.com/RLHFlow/RLHF-Reward-Modeling, math-rm).
 */
import { z } from 'zod'
import { hardStep, labelSteps, type RatedStep, type Reading, type ReadOptions, userPrompt } from './labelled.ts'
import { splitQuestion } from './question-step.ts'
import { list, parseRow, stepText } from './schema.ts'

const MAX_MESSAGES = 2000

const message = z.object({ role: z.string(), content: stepText })

const schema = z.object({ conversations: list(message, MAX_MESSAGES) })

export function readRlhflow(value: unknown, options: ReadOptions): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const messages = parsed.row.conversations
  const steps: RatedStep[] = []
  for (let at = 0; at < messages.length; at += 2) {
    const [said, sign] = [messages[at], messages.at(at + 1)]
    if (said.role !== 'user' || sign?.role !== 'assistant' || !isSign(sign.content)) {
      return { bad: `conversations.${at}: expected a step of the user, then + or - of the assistant` }
    }
    const content = said.content.trim()
    if (content === '') return { bad: `conversations.${at}: the step is empty` }
    steps.push(hardStep(content, sign.content === '+'))
  }
  const first = steps.length === 0 ? undefined : splitQuestion(steps[0].content)
  if (first === undefined) return { bad: 'conversations.0: expected a question, then "Step 1:" or a blank line' }
  const own = [{ ...steps[0], content: first.step }, ...steps.slice(1)]
  return { labelled: labelSteps(userPrompt(first.question), own, options) }
}

export function isSign(content: unknown): boolean {
  return content === '+' || content === '-'
}
