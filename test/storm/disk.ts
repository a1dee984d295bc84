/** @file Disks for tests of durable writing: one that fails at a chosen call, one that watches what would be lost. */
import fs from 'node:fs'
import { dirname } from 'node:path'
import type { FileSystem } from '../../src/base/files.ts'

/** An error that the process lives to see, or its death: after it nothing is done any more. */
export type Fault = 'ENOSPC' | 'EIO' | 'death'

export const faults: readonly Fault[] = ['ENOSPC', 'EIO', 'death']

export interface FailingDisk {
  readonly fs: FileSystem
  /** The names of the calls that were made while the process lived. */
  readonly calls: readonly string[]
}

type Call = (...given: unknown[]) => unknown

/** A file system that hands every call of a function to `around`. */
function wrap(around: (name: string, call: Call, given: unknown[]) => unknown): FileSystem {
  return new Proxy(fs, {
    get: (target, name) => {
      const call: unknown = Reflect.get(target, name)
      if (typeof call !== 'function') return call
      return (...given: unknown[]) => around(String(name), (...own) => Reflect.apply(call, target, own), given)
    },
  })
}

/** What may have been done of a call that fails: half of a write, one file of a folder that is removed. */
function doPartly(name: string, call: Call, given: unknown[]): void {
  if (name === 'writeSync') call(given[0], given[1], given[2], Math.floor(Number(given[3]) / 2))
  const path = String(given[0])
  if (name === 'rmSync' && fs.existsSync(path) && fs.statSync(path).isDirectory()) {
    const [first] = fs.readdirSync(path)
    if (first !== undefined) fs.rmSync(`${path}/${first}`, { recursive: true })
  }
}

/**
 * A disk on which the call number `at` (from 0) fails, half done, and all others go well. Only power takes back what
 * was not synced, so it spares the time of doing that.
 */
export function failingDisk(fault: Fault, at: number): FailingDisk {
  const calls: string[] = []
  let isDead = false
  const disk = wrap((name, call, given) => {
    // The kernel closes the files of the dead.
    if (isDead) return name === 'closeSync' ? call(...given) : undefined
    calls.push(name)
    if (calls.length - 1 !== at) return name === 'fsyncSync' ? undefined : call(...given)
    doPartly(name, call, given)
    if (name === 'closeSync') call(...given)
    isDead = fault === 'death'
    throw Object.assign(new Error(`${fault}: ${name}`), { code: fault })
  })
  return { fs: disk, calls }
}

/** A disk on which all goes well and nothing takes time. */
export const quickDisk: FileSystem = failingDisk('death', Number.POSITIVE_INFINITY).fs

/** A disk that writes as many bytes at a time as `next` says, at least one. */
export function shortDisk(next: () => number): FileSystem {
  return wrap((name, call, given) => {
    if (name !== 'writeSync') return call(...given)
    const [fd, bytes, offset, length] = given
    return call(fd, bytes, offset, Math.max(1, Math.min(Number(length), next())))
  })
}

export interface WatchedDisk {
  readonly fs: FileSystem
  /** What a loss of power could have mixed, in words. */
  readonly problems: readonly string[]
  /** What would be lost without power now: files whose bytes and folders whose names were not synced. */
  unsynced(): string[]
}

/** A disk that knows what was synced. A rename must come after the sync of what it shows, a removal after its own. */
export function watchedDisk(): WatchedDisk {
  const paths = new Map<unknown, string>()
  const files = new Set<string>()
  const folders = new Set<string>()
  const problems: string[] = []
  const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`)
  const note: { readonly [name: string]: (given: unknown[], result: unknown) => void } = {
    openSync: ([path, flags], fd) => {
      paths.set(fd, String(path))
      if (flags !== 'r') folders.add(dirname(String(path)))
    },
    writeSync: ([fd]) => files.add(paths.get(fd) ?? ''),
    ftruncateSync: ([fd]) => files.add(paths.get(fd) ?? ''),
    fsyncSync: ([fd]) => {
      files.delete(paths.get(fd) ?? '')
      folders.delete(paths.get(fd) ?? '')
    },
    mkdirSync: ([path]) => folders.add(dirname(String(path))),
    renameSync: ([from, to]) => {
      const lost = [...files, ...folders].filter((path) => isBelow(path, String(from)))
      if (lost.length > 0) problems.push(`${to} was shown before ${lost} was durable`)
      folders.add(dirname(String(to)))
    },
    rmSync: ([path]) => {
      if (folders.has(dirname(String(path)))) problems.push(`${path} was removed before its rename was durable`)
    },
  }
  const disk = wrap((name, call, given) => {
    const result = call(...given)
    note[name]?.(given, result)
    return result
  })
  return { fs: disk, problems, unsynced: () => [...files, ...folders] }
}
