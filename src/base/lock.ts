/**
 * @file One writer per folder: a lock that names its owner, and outlives no crash. The lock is a folder `run.lock` with
 * one entry, the owner's name. Renaming such a folder into place fails where an owner stands and works where none does;
 * removing an entry by its name removes nobody else's. So it is taken and cleared without a moment in between.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, utimesSync } from 'node:fs'
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

export interface LockOptions {
  /**
   * The owner shows many times within this time that it lives, and an owner on another host that has not for as long is
   * gone. Only for work that never holds up its thread for so long.
   */
  readonly freshMs?: number
}

/** A living process holds the folder: some can wait for it. */
export class InUseError extends UserError {
  override name = 'InUseError'
  /** `process 7 on host` */
  readonly owner: string
  /** What to remove where the owner is gone. */
  readonly path: string

  constructor(message: string, owner: string, path: string) {
    super(message)
    this.owner = owner
    this.path = path
  }
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

function isAlive({ pid, begun }: Owner): boolean {
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

/** An owner on another host cannot be asked from here: it counts as alive unless its lock is of those that are kept fresh. */
function holds(owner: Owner, path: string, { freshMs }: LockOptions): boolean {
  if (owner.host === ownHost()) return isAlive(owner)
  if (freshMs === undefined) return true
  const entry = statSync(join(path, nameOf(owner)), { throwIfNoEntry: false })
  return entry !== undefined && Date.now() - entry.mtimeMs < freshMs
}

function keepFresh(entry: string, freshMs: number): NodeJS.Timeout {
  const touch = (): void => {
    try {
      utimesSync(entry, new Date(), new Date())
    } catch {} // somebody has removed it
  }
  return setInterval(touch, freshMs / 24).unref()
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

function heldLock(path: string, own: Owner, { freshMs }: LockOptions): Lock {
  const timer = freshMs === undefined ? undefined : keepFresh(join(path, nameOf(own)), freshMs)
  return {
    release: () => {
      clearInterval(timer)
      removeOwner(path, own)
    },
  }
}

/** Whether a living process holds `folder`. */
export function isInUse(folder: string): boolean {
  const owner = readOwner(join(folder, 'run.lock'))
  return owner !== undefined && holds(owner, join(folder, 'run.lock'), {})
}

/**
 * Takes `folder` for this process.
 * @throws InUseError naming the owner where a living process holds it.
 */
export function lockFolder(folder: string, options: LockOptions = {}): Lock {
  const path = join(folder, 'run.lock')
  const own = { pid: process.pid, begun: processBegun(process.pid), host: ownHost() }
  let problem: unknown
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      putOwner(folder, path, own)
      return heldLock(path, own, options)
    } catch (error) {
      problem = error
    }
    const owner = readOwner(path)
    if (owner === undefined) continue
    if (holds(owner, path, options)) {
      const who = `process ${owner.pid} on ${owner.host}`
      const advice = `wait for it, choose another --output_dir, or remove ${path} if that process is not a stepdpo run`
      throw new InUseError(`${folder} is in use by ${who}: ${advice}`, who, path)
    }
    removeOwner(path, owner)
  }
  throw new UserError(`${path} could not be taken: ${messageOf(problem)}`, { cause: problem })
}
