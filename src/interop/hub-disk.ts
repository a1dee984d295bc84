/** @file What a disk refuses while files of the Hub come, as a person can mend it. */
import { mkdirSync, statfsSync } from 'node:fs'
import { codeOf, UserError } from '../base/errors.ts'
import { showBytes } from '../base/sizes.ts'

const ROOM = 'make room, or set HF_HOME (or --local_dir) to a folder on another disk'
const WRITABLE = 'set HF_HOME (or --local_dir) to a folder that can be written'

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOSPC: `the disk is full: ${ROOM}; the same command goes on where it stopped`,
  EDQUOT: `the quota is used up: ${ROOM}; the same command goes on where it stopped`,
  EROFS: `it cannot be written: ${WRITABLE}`,
  EACCES: `it may not be written: ${WRITABLE}`,
  EPERM: `it may not be written: ${WRITABLE}`,
  ENOTDIR: `a part of its path is no folder: ${WRITABLE}`,
  EEXIST: `it is no folder: ${WRITABLE}`,
}

/** An error of the system with what helps, `place` before it; any other error as it is. */
export function diskError(place: string, error: unknown): unknown {
  const code = codeOf(error) ?? ''
  return Object.hasOwn(PROBLEMS, code)
    ? new UserError(`${place}: ${PROBLEMS[code]} (${code})`, { cause: error })
    : error
}

/** Whether a folder cannot be written by us: what would be noted there is not. */
export function isReadOnly(error: unknown): boolean {
  return ['EROFS', 'EACCES', 'EPERM'].includes(codeOf(error) ?? '')
}

/** @throws UserError where it cannot be made. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true })
  } catch (error) {
    throw diskError(path, error)
  }
}

/** @throws UserError where the disk of a folder has less room than is needed. */
export function refuseFullDisk(folder: string, needed: number): void {
  const { blocks, bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (blocks === 0 || free >= needed) return // some systems do not tell
  throw new UserError(`${folder}: ${showBytes(needed)} are needed and ${showBytes(free)} free: ${ROOM}`)
}
