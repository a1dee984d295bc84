/** @file A judge that is a rule: it works out every equation that stands in a step. */
import { NO_USAGE, type Solution, type StepJudge, type StepVerdict } from '../port.ts'
import { checkStep, equationOf, explain, type Finding, newMemory } from './check.ts'
import type { Outcome } from './decide.ts'

function verdict(findings: Iterable<Finding>): StepVerdict {
  const first = new Map<Outcome, Finding>()
  let heldCount = 0
  for (const finding of findings) {
    if (!first.has(finding.outcome)) first.set(finding.outcome, finding)
    if (finding.outcome === 'holds') heldCount++
  }
  const wrong = first.get('false')
  if (wrong !== undefined) return { state: 'scored', score: 0, label: 'incorrect', why: explain(wrong) }
  const held = first.get('holds')
  if (held !== undefined) {
    const why = heldCount === 1 ? `${equationOf(held)} holds` : `${heldCount} equations hold`
    return { state: 'scored', score: 1, label: 'correct', why }
  }
  const doubted = first.get('doubtful')
  return { state: 'abstained', why: doubted === undefined ? 'no equation between numbers' : explain(doubted) }
}

/**
 * Works out the equations of each step, in plain text, calculator marks and LaTeX: 1 where all hold, 0 where one is
 * false, abstained where there is none or none is clear. It never asks anyone; a step's verdict depends on the
 * problem, on it and on the steps before it.
 */
export function arithmeticJudge(): StepJudge {
  return {
    name: 'arithmetic@1',
    meaning: 'correctness',
    judge: async (solution: Solution, signal: AbortSignal) => {
      const memory = newMemory(solution.problem)
      const steps = solution.steps.map((step): StepVerdict => {
        if (signal.aborted) return { state: 'failed', kind: 'stopped', why: 'stopped before this step' }
        return verdict(checkStep(step, memory))
      })
      return { steps, usage: NO_USAGE }
    },
  }
}
