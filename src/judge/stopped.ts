/** @file The failure of an ask that was stopped by the one who asked. */
import { ChatError } from './chat.ts'

export function stoppedError(wasSent: boolean): ChatError {
  const message = wasSent ? 'stopped while waiting for the reply' : 'stopped before the request was sent'
  return new ChatError(message, { kind: 'stopped', isTransient: false, maybePaid: wasSent })
}
