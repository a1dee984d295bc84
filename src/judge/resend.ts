/** @file A request that is sent again until its reply comes, or the policy ends it. */
import { ChatError, joinFailures } from './chat.ts'
import type { Clock } from './clock.ts'
import type { Limits } from './limits.ts'
import { decideRetry, finalError, type RetryPolicy } from './retry.ts'
import { stoppedError } from './stopped.ts'

export interface ResendOptions {
  /** Names the random waits. */
  readonly label: string
  readonly retry: RetryPolicy
  /** Of the provider: where it wants to be left alone, all its askers wait. */
  readonly limits: Limits
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * @param attempt Sends once; counted from 1.
 * @throws ChatError, the last one, where the policy ends it, and `stopped` where the signal does.
 */
export async function sendUntilReply<Reply>(
  { label, retry, limits, clock, signal }: ResendOptions,
  attempt: (number: number) => Promise<Reply | ChatError>,
): Promise<Reply> {
  const errors: ChatError[] = []
  for (let number = 1; ; number++) {
    const result = await attempt(number)
    if (!(result instanceof ChatError)) return result
    errors.push(result)
    const next = decideRetry(result.facts, number, label, retry)
    if (next === null) throw finalError(joinFailures(errors, result.facts), number, retry)
    limits.pause(next.pauseMs)
    await clock.sleep(next.delayMs, signal).catch(() => {
      throw stoppedError(false)
    })
  }
}
