/**
 * @file Log-probabilities under the reference, computed once and kept by content. A run logs every one it uses in its
 * own folder, so that a resumed run meets exactly the numbers it met before; a shared file spares other runs the work.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type LineLog, openLineLog } from '../base/files.ts'
import { sha256 } from '../base/hash.ts'
import type { PackedRow } from '../batch/pack.ts'

export interface ReferenceCache {
  /** The log-probabilities of each token of a continuation, or undefined. */
  get(key: string): Float32Array | undefined
  put(key: string, logps: Float32Array): void
  /** Makes what was put or used durable. */
  sync(): void
  close(): void
}

/** Names a continuation by all that its log-probabilities depend on, but for the model. */
function contentKey(prefix: readonly number[], ids: readonly number[]): string {
  const content = Int32Array.from([prefix.length, ...prefix, ...ids])
  return createHash('sha256').update(new Uint8Array(content.buffer)).digest('hex').slice(0, 32)
}

/** The keys of a row's continuations. */
export function continuationKeys({ row, continuations }: PackedRow): string[] {
  return continuations.map((scored) => {
    const nodes = Array.from(scored, (at) => row.scored[at])
    const prefix: number[] = []
    for (let node = row.parents[nodes[0]]; node >= 0; node = row.parents[node]) prefix.push(row.ids[node])
    return contentKey(
      prefix.reverse(),
      nodes.map((node) => row.ids[node]),
    )
  })
}

function checkOf(key: string, logps: string): string {
  return sha256(`${key} ${logps}`).slice(0, 8)
}

function encodeLine(key: string, logps: Float32Array): string {
  const text = Buffer.from(logps.buffer, logps.byteOffset, logps.byteLength).toString('base64')
  return `${key} ${text} ${checkOf(key, text)}`
}

/** The entries of a file. Lines that were cut or damaged are passed over: they are computed again. */
function readEntries(path: string, into: Map<string, Float32Array>): void {
  if (!existsSync(path)) return
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    const [key, text, check] = line.split(' ')
    if (check === undefined || check !== checkOf(key, text) || into.has(key)) continue
    const bytes = Buffer.from(text, 'base64')
    into.set(key, new Float32Array(new Uint8Array(bytes).buffer))
  }
}

function openLog(path: string): LineLog {
  mkdirSync(dirname(path), { recursive: true })
  return openLineLog(path)
}

/**
 * Opens the cache of a run.
 * @param own the run's log.
 * @param shared the file of all runs on this model; undefined for none.
 */
export function openReferenceCache(own: string, shared: string | undefined): ReferenceCache {
  const known = new Map<string, Float32Array>()
  readEntries(own, known)
  const logged = new Set(known.keys())
  if (shared !== undefined) readEntries(shared, known)
  const logs = [openLog(own), ...(shared === undefined ? [] : [openLog(shared)])]
  const [ownLog, sharedLog] = logs
  return {
    get: (key) => {
      const logps = known.get(key)
      if (logps !== undefined && !logged.has(key)) {
        ownLog.append(encodeLine(key, logps))
        logged.add(key)
      }
      return logps
    },
    put: (key, logps) => {
      known.set(key, logps)
      logged.add(key)
      const line = encodeLine(key, logps)
      ownLog.append(line)
      sharedLog?.append(line)
    },
    sync: () => {
      for (const log of logs) log.sync()
    },
    close: () => {
      for (const log of logs) log.close()
    },
  }
}
