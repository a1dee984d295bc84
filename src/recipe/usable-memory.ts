/** @file The memory that this process may use. */
import { totalmem } from 'node:os'

/** Of the process: the control group's limit, where it is less than what the machine has. In bytes. */
export function usableMemory(): { readonly limit: number; readonly free: number } {
  const constrained = process.constrainedMemory()
  const limit = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
  return { limit, free: Math.min(process.availableMemory(), limit) }
}
