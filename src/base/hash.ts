/** @file SHA-256 of bytes and files, in lower-case hexadecimal. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'

export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

/** The hash of a file's content, read in pieces. */
export function sha256File(path: string): string {
  const hash = createHash('sha256')
  const chunk = Buffer.allocUnsafe(1 << 20)
  const fd = openSync(path, 'r')
  try {
    for (;;) {
      const count = readSync(fd, chunk, 0, chunk.length, null)
      if (count === 0) return hash.digest('hex')
      hash.update(chunk.subarray(0, count))
    }
  } finally {
    closeSync(fd)
  }
}
