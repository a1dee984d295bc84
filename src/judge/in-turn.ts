/** @file Judging one solution after another: a machine does one thing at a time. */
import { NO_USAGE, type Solution, type StepJudge, type StepVerdicts } from './port.ts'

function stopped({ steps }: Solution): StepVerdicts {
  return { steps: steps.map(() => ({ state: 'failed', kind: 'stopped', why: 'the run was stopped' })), usage: NO_USAGE }
}

/** What is asked while another solution is judged waits; once it is stopped, it fails without being judged. */
export function inTurn(judge: (solution: Solution) => Promise<StepVerdicts>): StepJudge['judge'] {
  let before: Promise<unknown> = Promise.resolve()
  return (solution, signal) => {
    const own = before.then(() => (signal.aborted ? stopped(solution) : judge(solution)))
    before = own.catch(() => {})
    return own
  }
}
