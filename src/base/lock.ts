/** @file One writer per folder: a lock file that names its owner, and outlives no crash. */
import { linkSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { codeOf, UserError } from './errors.ts'

interface Owner {
  readonly pid: number
  readonly host: string
  /** When the process began, in the kernel's clock: tells a reused process id from its first bearer. */
  readonly begun: string
}

export interface Lock {
  release(): void
}

/** Field 22 of /proc/PID/stat; empty where there is no such file. */
function processBegun(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return ''
  }
}

function isAlive(owner: Owner): boolean {
  if (owner.host !== hostname()) return true // cannot be asked from here
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
  }
  return processBegun(owner.pid) === owner.begun
}

function readOwner(path: string): { text: string; owner: Owner | undefined } | undefined {
  try {
    const text = readFileSync(path, 'utf8')
    const [pid, host, begun] = text.split('\n')
    return { text, owner: pid && host ? { pid: Number(pid), host, begun } : undefined }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Moves a dead owner's lock away. False where somebody else was quicker: look again. */
function clearStale(path: string, expected: string): boolean {
  const aside = `${path}.stale-${process.pid}`
  try {
    renameSync(path, aside)
  } catch {
    return false
  }
  if (readFileSync(aside, 'utf8') === expected) {
    unlinkSync(aside)
    return true
  }
  // Between our look and our rename the lock changed hands: give it back.
  try {
    linkSync(aside, path)
  } catch {}
  unlinkSync(aside)
  return false
}

/**
 * Takes `folder` for this process.
 * @throws UserError naming the owner where a living process holds it.
 */
export function lockFolder(folder: string): Lock {
  const path = join(folder, 'run.lock')
  const text = [process.pid, hostname(), processBegun(process.pid), ''].join('\n')
  const mine = `${path}.${process.pid}`
  writeFileSync(mine, text)
  try {
    for (let attempt = 0; attempt < 100; attempt++) {
      try {
        linkSync(mine, path) // atomic: appears whole, or fails where a lock stands
        return { release: () => releaseLock(path, text) }
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error
      }
      const held = readOwner(path)
      if (held === undefined) continue
      if (held.owner !== undefined && isAlive(held.owner)) {
        throw new UserError(
          `${folder} is in use by process ${held.owner.pid} on ${held.owner.host}: ` +
            `wait for it, choose another --output_dir, or remove ${path} if that process is not a stepdpo run`,
        )
      }
      clearStale(path, held.text)
    }
    throw new UserError(`${path}: could not be taken, it keeps changing hands`)
  } finally {
    rmSync(mine, { force: true })
  }
}

function releaseLock(path: string, text: string): void {
  if (readOwner(path)?.text === text) unlinkSync(path)
}
