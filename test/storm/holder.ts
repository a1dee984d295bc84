/**
 * @file A process that takes locks, for tests: `hold FOLDER`, `race FOLDER… ` (each once, in step with its rivals) or
 * `turns FOLDER COUNT`. Says on one line what it got, and lives until its input ends.
 */
import { closeSync, openSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, UserError } from '../../src/base/errors.ts'
import { type Lock, lockFolder } from '../../src/base/lock.ts'

const [mode, ...rest] = process.argv.slice(2)

function tryLock(folder: string): Lock | undefined {
  try {
    return lockFolder(folder)
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}

/** All rivals begin each round in the same millisecond. */
function race(folders: readonly string[]): boolean[] {
  const beginning = Math.ceil(Date.now() / 1000) * 1000
  return folders.map((folder, round) => {
    while (Date.now() < beginning + 2 * round) {}
    return tryLock(folder) !== undefined
  })
}

/** Takes and gives back a lock until it was its own so many times, and counts how often somebody else was there. */
function takeTurns(folder: string, count: number): { readonly met: number } {
  const marker = join(folder, 'marker')
  let met = 0
  for (let turn = 0; turn < count; ) {
    const lock = tryLock(folder)
    if (lock === undefined) continue
    try {
      closeSync(openSync(marker, 'wx'))
      unlinkSync(marker)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST' && codeOf(error) !== 'ENOENT') throw error
      met++
    }
    lock.release()
    turn++
  }
  return { met }
}

function run(): unknown {
  if (mode === 'race') return race(rest)
  if (mode === 'turns') return takeTurns(rest[0], Number(rest[1]))
  return tryLock(rest[0]) !== undefined
}

process.stdout.write('ready\n')
process.stdin.once('data', () => process.stdout.write(`${JSON.stringify(run())}\n`))
process.stdin.once('end', () => process.exit())
