/** @file A time limit for code that works on patterns and templates of strangers. Not a sandbox: only a clock. */
import { createContext, Script } from 'node:vm'
import { codeOf } from '../base/errors.ts'

const context = createContext({})
const script = new Script('work()')

/** A machine that stood still must not look like a pattern that never ends: the second try has so many times as long. */
export const PATIENCE = 8

/**
 * The result of `work`, which must not wait for anything and may be done twice. Costs about 50 µs per call. Stops interpreted code and
 * regular expressions, but not one long built-in call such as a search for a long string in a long string.
 * @throws Error with code ERR_SCRIPT_EXECUTION_TIMEOUT when `work` runs longer than `limitMs`, and tried again, longer
 * than `PATIENCE` times that.
 */
export function withDeadline<T>(limitMs: number, work: () => T): T {
  try {
    return runWithin(limitMs, work)
  } catch (error) {
    if (codeOf(error) !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
    return runWithin(PATIENCE * limitMs, work)
  }
}

function runWithin<T>(limitMs: number, work: () => T): T {
  context.work = work
  try {
    return script.runInContext(context, { timeout: limitMs })
  } finally {
    context.work = undefined
  }
}
