/**
 * @file One writer per folder: a lock that names its owner, and outlives no crash. The lock is a folder `run.lock` with
 * one entry, the owner's name. Renaming such a folder into place fails where an owner stands and works where none does;
 * removing an entry by its name removes nobody else's. So it is taken and cleared without a moment in between.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { codeOf, messageOf, UserError } from './errors.ts'

interface Owner {
  readonly pid: number
  /** When the process began, in the kernel's clock: tells a reused process id from its first bearer. */
  readonly begun: string
  /** As it stands in a file's name. */
  readonly host: string
}

export interface Lock {
  release(): void
}

/** A living process holds the folder: some can wait for it. */
export class InUseError extends UserError {
  override name = 'InUseError'
}

/** Field 22 of /proc/PID/stat, or `ended` for one that only waits to be buried; empty where there is no such file. */
function processBegun(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'ended' : fields[19]
  } catch {
    return ''
  }
}

function ownHost(): string {
  return encodeURIComponent(hostname())
}

function nameOf({ pid, begun, host }: Owner): string {
  return `${pid}_${begun}_${host}`
}

function isAlive({ pid, begun, host }: Owner): boolean {
  if (host !== ownHost()) return true // cannot be asked from here
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
  }
  return processBegun(pid) === begun
}

/** Who holds the lock, if anybody does. */
function readOwner(path: string): Owner | undefined {
  let names: string[]
  try {
    names = readdirSync(path)
  } catch {
    return undefined
  }
  for (const name of names) {
    const [, pid, begun, host] = /^(\d+)_(\w*?)_(.+)$/.exec(name) ?? []
    if (pid !== undefined) return { pid: Number(pid), begun, host }
  }
  return undefined
}

/** @throws where an owner stands, or the system does not let us. */
function putOwner(folder: string, path: string, owner: Owner): void {
  const temporary = join(folder, `.tmp-run.lock-${nameOf(owner)}`)
  try {
    mkdirSync(temporary)
    mkdirSync(join(temporary, nameOf(owner)))
    renameSync(temporary, path)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

function removeOwner(path: string, owner: Owner): void {
  try {
    rmdirSync(join(path, nameOf(owner)))
  } catch {} // somebody else was quicker
  try {
    rmdirSync(path)
  } catch {} // it has a new owner
}

/** Whether a living process holds `folder`. */
export function isInUse(folder: string): boolean {
  const owner = readOwner(join(folder, 'run.lock'))
  return owner !== undefined && isAlive(owner)
}

/**
 * Takes `folder` for this process.
 * @throws InUseError naming the owner where a living process holds it.
 */
export function lockFolder(folder: string): Lock {
  const path = join(folder, 'run.lock')
  const own = { pid: process.pid, begun: processBegun(process.pid), host: ownHost() }
  let problem: unknown
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      putOwner(folder, path, own)
      return { release: () => removeOwner(path, own) }
    } catch (error) {
      problem = error
    }
    const owner = readOwner(path)
    if (owner === undefined) continue
    if (isAlive(owner)) {
      throw new InUseError(
        `${folder} is in use by process ${owner.pid} on ${owner.host}: ` +
          `wait for it, choose another --output_dir, or remove ${path} if that process is not a stepdpo run`,
      )
    }
    removeOwner(path, owner)
  }
  throw new UserError(`${path} could not be taken: ${messageOf(problem)}`, { cause: problem })
}
