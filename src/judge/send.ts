/** @file Sends one request once and comes to an end: a reply or a ChatError, in time, whatever the model does. */
import { messageOf } from '../base/errors.ts'
import { ChatError, type ChatModel, type ChatReply, type ChatRequest } from './chat.ts'
import type { Clock } from './clock.ts'
import { stoppedError } from './stopped.ts'

export interface SendOptions {
  readonly model: ChatModel
  readonly timeoutMs: number
  readonly clock: Clock
}

/** Made once: of those whose timer is stopped there is one a request, and an error takes its time to be made. */
const STOPPED = stoppedError(true)

/** Never throws. A model that does not heed its signal is left alone. */
export async function send(
  { model, timeoutMs, clock }: SendOptions,
  request: ChatRequest,
  signal: AbortSignal,
): Promise<ChatReply | ChatError> {
  if (signal.aborted) return stoppedError(false)
  const ended = new AbortController() // not by AbortSignal.any, which costs more than all the rest here
  const stop = (): void => ended.abort(STOPPED)
  signal.addEventListener('abort', stop, { once: true })
  const outOfTime = clock.sleep(timeoutMs, ended.signal).then(
    () => timeoutError(model, timeoutMs),
    () => STOPPED,
  )
  try {
    return await Promise.race([complete(model, request, ended.signal), outOfTime])
  } finally {
    signal.removeEventListener('abort', stop)
    ended.abort(STOPPED)
  }
}

async function complete(model: ChatModel, request: ChatRequest, signal: AbortSignal): Promise<ChatReply | ChatError> {
  try {
    return await model.complete(request, signal)
  } catch (error) {
    if (error instanceof ChatError) return error
    const message = `${model.name}: ${messageOf(error)}`
    return new ChatError(message, { kind: 'unknown', isTransient: false, maybePaid: true }, { cause: error })
  }
}

function timeoutError(model: ChatModel, timeoutMs: number): ChatError {
  const message = `${model.name}: no reply within ${timeoutMs / 1000} s`
  return new ChatError(message, { kind: 'timeout', isTransient: true, maybePaid: true })
}
