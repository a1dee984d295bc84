/** @file A judge that is a rule: it works out every equation that stands in a step. */
import { NO_USAGE, type Solution, type StepJudge, type StepVerdict } from '../port.ts'
import { checkStep, type Finding, newMemory } from './check.ts'

function verdict(findings: readonly Finding[]): StepVerdict {
  const wrong = findings.find(({ outcome }) => outcome === 'false')
  if (wrong !== undefined) return { state: 'scored', score: 0, label: 'incorrect', why: wrong.why }
  const held = findings.filter(({ outcome }) => outcome === 'holds')
  if (held.length > 0) {
    const why = held.length === 1 ? `${held[0].equation} holds` : `${held.length} equations hold`
    return { state: 'scored', score: 1, label: 'correct', why }
  }
  const doubted = findings.at(0)
  return { state: 'abstained', why: doubted === undefined ? 'no equation between numbers' : doubted.why }
}

/**
 * Works out the equations of each step, in plain text, calculator marks and LaTeX: 1 where all hold, 0 where one is
 * false, abstained where there is none or none is clear. It never asks anyone; a step's verdict depends on the
 * problem, on it and on the steps before it.
 */
export function arithmeticJudge(): StepJudge {
  return {
    name: 'arithmetic@1',
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
