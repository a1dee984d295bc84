/** @file Runs a part of a benchmark in a process of its own, so that its memory and its cache are its own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { z } from 'zod'

/**
 * Runs a file with some arguments; it gives its result to `process.send`.
 * @throws Error where it fails or says nothing.
 */
export async function inChild<T>(file: string, args: readonly string[], result: z.ZodType<T>): Promise<T> {
  // What a reference said in an earlier run would be read instead of computed.
  const cache = mkdtempSync(join(tmpdir(), 'stepdpo-bench-cache-'))
  try {
    const child = fork(file, [...args], { env: { ...process.env, STEPDPO_CACHE: cache } })
    let said: unknown
    child.on('message', (message) => {
      said = message
    })
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}`)
    return result.parse(said)
  } finally {
    rmSync(cache, { recursive: true })
  }
}
