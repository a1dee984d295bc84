/** @file Runs a part of a benchmark in a process of its own, so that its memory is its own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { z } from 'zod'

/**
 * Runs a file with some arguments; it gives its result to `process.send`.
 * @throws Error where it fails or says nothing.
 */
export async function inChild<T>(file: string, args: readonly string[], result: z.ZodType<T>): Promise<T> {
  const child = fork(file, [...args])
  let said: unknown
  child.on('message', (message) => {
    said = message
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}`)
  return result.parse(said)
}
