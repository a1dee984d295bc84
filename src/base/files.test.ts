/** Durable files: every call that can fail does, and a reader still finds the old content or the new. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { type Fault, failingDisk, faults, shortDisk, watchedDisk } from '../../test/storm/disk.ts'
import {
  type FileSystem,
  openLineLog,
  removeFolderDurably,
  removeTemporaries,
  writeDurably,
  writeFolderDurably,
  writeNew,
} from './files.ts'

const freshFolder = folderMaker()

/** Everything below a folder: the content of each file by its path. */
function look(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return Object.fromEntries(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name)
      return [path.slice(folder.length + 1), readFileSync(path, 'utf8')]
    }),
  )
}

interface Trial {
  prepare(folder: string): void
  act(folder: string, fs: FileSystem): void
}

interface Outcome {
  readonly folder: string
  readonly found: Record<string, string>
  /** The call that failed. */
  readonly failed: string
  readonly fault: Fault
  /** Whether all renames were done before. */
  readonly hasMoved: boolean
}

/** Lets each call of `act` fail in each way, one in each trial, and gives what was left. */
function failEverywhere({ prepare, act }: Trial): Outcome[] {
  return faults.flatMap((fault) => {
    const outcomes: Outcome[] = []
    for (let at = 0; ; at++) {
      const folder = freshFolder()
      prepare(folder)
      const { fs, calls } = failingDisk(fault, at)
      try {
        act(folder, fs)
        return outcomes
      } catch (error) {
        expect(error).toMatchObject({ code: fault })
      }
      const hasMoved = calls.includes('renameSync') && calls.lastIndexOf('renameSync') < at
      outcomes.push({ folder, found: look(folder), failed: calls[at], fault, hasMoved })
    }
  })
}

const isTemporary = (path: string): boolean => path.split('/').some((name) => name.startsWith('.tmp-'))

function splitTemporaries(found: Record<string, string>) {
  const entries = Object.entries(found)
  return {
    whole: Object.fromEntries(entries.filter(([path]) => !isTemporary(path))),
    temporary: entries.filter(([path]) => isTemporary(path)).map(([path]) => path),
  }
}

/**
 * Each outcome holds one of the contents. Temporaries are left by the dead, and of a folder that was moved away by
 * those who could not make that durable or could not remove it; the next process removes them.
 */
function expectOneOf(outcomes: readonly Outcome[], contents: readonly Record<string, string>[]): void {
  for (const { folder, found, failed, fault, hasMoved } of outcomes) {
    const { whole, temporary } = splitTemporaries(found)
    expect(contents, `${fault} at ${failed}`).toContainEqual(whole)
    if (fault !== 'death' && !hasMoved) expect(temporary, `${fault} at ${failed}`).toEqual([])
    removeTemporaries(folder)
    expect(readdirSync(folder).filter(isTemporary)).toEqual([])
    expect(look(folder)).toEqual(whole)
  }
}

describe('writeDurably', () => {
  const parts = ['new ', Buffer.from('content ✓')]
  const trial: Trial = {
    prepare: (folder) => writeFileSync(join(folder, 'a'), 'old'),
    act: (folder, fs) => writeDurably(join(folder, 'a'), parts, fs),
  }

  test('leaves the old content or the new one, whichever call fails', () => {
    const outcomes = failEverywhere(trial)
    // open, two writes, fsync, close, rename; open, fsync and close of the folder
    expect(outcomes).toHaveLength(3 * 9)
    expectOneOf(outcomes, [{ a: 'old' }, { a: 'new content ✓' }])
    const left = outcomes.filter(({ found, fault }) => fault !== 'death' && Object.keys(found).length > 1)
    expect(left).toEqual([])
  })

  test('leaves nothing or the whole file where there was none', () => {
    expectOneOf(failEverywhere({ ...trial, prepare: () => {} }), [{}, { a: 'new content ✓' }])
  })

  test('leaves the old content and no temporary where the parts end in an error', () => {
    const folder = freshFolder()
    trial.prepare(folder)
    const failing = function* () {
      yield 'half'
      throw new Error('no more')
    }
    expect(() => writeDurably(join(folder, 'a'), failing())).toThrow('no more')
    expect(look(folder)).toEqual({ a: 'old' })
  })

  test('writes every byte on a disk that takes a few at a time', () => {
    const folder = freshFolder()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.infiniteStream(fc.nat(40)), (bytes, sizes) => {
        const next = (): number => sizes.next().value
        writeDurably(join(folder, 'a'), [bytes, 'and text'], shortDisk(next))
        expect(readFileSync(join(folder, 'a'))).toEqual(Buffer.concat([bytes, Buffer.from('and text')]))
      }),
      { numRuns: 30 },
    )
  })

  test('shows nothing that a loss of power could take back', () => {
    const folder = freshFolder()
    const disk = watchedDisk()
    trial.act(folder, disk.fs)
    expect(disk.problems).toEqual([])
    expect(disk.unsynced()).toEqual([])
  })
})

test('writeNew does not touch a file that is there', () => {
  const path = join(freshFolder(), 'a')
  writeFileSync(path, 'old')
  expect(() => writeNew(path, ['new'])).toThrow(/EEXIST/)
  expect(readFileSync(path, 'utf8')).toBe('old')
})

describe('writeFolderDurably', () => {
  const act = (folder: string, fs: FileSystem): void =>
    writeFolderDurably(
      join(folder, 'c'),
      (temporary) => {
        writeNew(join(temporary, 'a'), ['new a'], fs)
        writeNew(join(temporary, 'b'), ['new b'], fs)
      },
      fs,
    )
  const prepareOld = (folder: string): void => {
    mkdirSync(join(folder, 'c'))
    writeFileSync(join(folder, 'c', 'a'), 'old a')
    writeFileSync(join(folder, 'c', 'z'), 'old z')
  }
  const old = { 'c/a': 'old a', 'c/z': 'old z' }
  const fresh = { 'c/a': 'new a', 'c/b': 'new b' }

  test('a new folder is there whole or not at all, whichever call fails', () => {
    expectOneOf(failEverywhere({ prepare: () => {}, act }), [{}, fresh])
  })

  test('a folder that is replaced is the old or the new one; a death between its two renames leaves neither', () => {
    const outcomes = failEverywhere({ prepare: prepareOld, act })
    const isGone = ({ found }: Outcome): boolean => Object.keys(splitTemporaries(found).whole).length === 0
    expectOneOf(
      outcomes.filter((outcome) => !isGone(outcome)),
      [old, fresh],
    )
    const gone = outcomes.filter(isGone)
    expect(gone.map(({ fault, failed }) => `${fault} at ${failed}`)).toEqual(['death at renameSync'])
    expectOneOf(gone, [{}])
  })

  test('what `fill` throws is thrown, and the old folder stands', () => {
    const folder = freshFolder()
    prepareOld(folder)
    const fill = (temporary: string): void => {
      writeNew(join(temporary, 'a'), ['new a'])
      throw new Error('no more')
    }
    expect(() => writeFolderDurably(join(folder, 'c'), fill)).toThrow('no more')
    expect(look(folder)).toEqual(old)
  })

  test.each([
    ['new', () => {}],
    ['replaced', prepareOld],
  ])('shows nothing of a %s folder that a loss of power could take back', (_, prepare) => {
    const folder = freshFolder()
    prepare(folder)
    const disk = watchedDisk()
    act(folder, disk.fs)
    expect(disk.problems).toEqual([])
    expect(disk.unsynced()).toEqual([])
    expect(look(folder)).toEqual(fresh)
  })
})

describe('removeFolderDurably', () => {
  const prepare = (folder: string): void => {
    mkdirSync(join(folder, 'c', 'deep'), { recursive: true })
    writeFileSync(join(folder, 'c', 'a'), 'a')
    writeFileSync(join(folder, 'c', 'deep', 'b'), 'b')
  }
  const act = (folder: string, fs: FileSystem): void => removeFolderDurably(join(folder, 'c'), fs)

  test('a folder is never half there under its name, whichever call fails', () => {
    expectOneOf(failEverywhere({ prepare, act }), [{ 'c/a': 'a', 'c/deep/b': 'b' }, {}])
  })

  test('nothing of it is deleted before its new name is durable', () => {
    const folder = freshFolder()
    prepare(folder)
    const disk = watchedDisk()
    act(folder, disk.fs)
    expect(disk.problems).toEqual([])
    expect(look(folder)).toEqual({})
  })

  test('a folder that is not there needs no removing', () => {
    const folder = freshFolder()
    removeFolderDurably(join(folder, 'none'))
    expect(readdirSync(folder)).toEqual([])
  })
})

test('temporaries are removed, and nothing else', () => {
  const folder = freshFolder()
  mkdirSync(join(folder, '.tmp-c-1-1'))
  writeFileSync(join(folder, '.tmp-c-1-1', 'a'), '')
  for (const name of ['.tmp-a-1-2', 'a.tmp-', '.hidden', 'tmp-a']) writeFileSync(join(folder, name), '')
  removeTemporaries(folder)
  expect(readdirSync(folder).sort()).toEqual(['.hidden', 'a.tmp-', 'tmp-a'])
})

describe('a log of lines', () => {
  const lineEnd = fc.constantFrom('\n', '')
  const line = fc.stringMatching(/^[a-z✓]{0,9}$/)

  test('keeps whole lines, cuts an unfinished last one, and glues nothing to anything', () => {
    const path = join(freshFolder(), 'log')
    fc.assert(
      fc.property(fc.array(line), line, lineEnd, fc.array(line), (before, last, end, added) => {
        writeFileSync(path, before.map((text) => `${text}\n`).join('') + last + end)
        const log = openLineLog(path)
        log.append(...added)
        log.sync()
        log.close()
        const kept = end === '\n' ? [...before, last] : before
        expect(readFileSync(path, 'utf8')).toBe([...kept, ...added].map((text) => `${text}\n`).join(''))
      }),
      { numRuns: 60 },
    )
  })

  test('finds the last line end behind a long unfinished line', () => {
    const path = join(freshFolder(), 'log')
    for (const length of [65_535, 65_536, 65_537, 200_000]) {
      writeFileSync(path, `kept\n${'x'.repeat(length)}`)
      openLineLog(path).close()
      expect(readFileSync(path, 'utf8')).toBe('kept\n')
    }
  })

  test('a file of one unfinished line, or of nothing, is an empty log', () => {
    const path = join(freshFolder(), 'log')
    for (const content of ['', 'x'.repeat(70_000)]) {
      writeFileSync(path, content)
      openLineLog(path).close()
      expect(readFileSync(path, 'utf8')).toBe('')
    }
  })

  test('holds every line once it is reopened, but for those of the append that failed', () => {
    const outcomes = failEverywhere({
      prepare: (folder) => writeFileSync(join(folder, 'log'), 'one\ncut'),
      act: (folder, fs) => {
        const log = openLineLog(join(folder, 'log'), fs)
        try {
          log.append('two', 'three')
          log.sync()
        } finally {
          log.close()
        }
      },
    })
    for (const { folder, failed, fault } of outcomes) {
      const path = join(folder, 'log')
      const log = openLineLog(path)
      log.append('next')
      log.close()
      expect(['one\nnext\n', 'one\ntwo\nnext\n', 'one\ntwo\nthree\nnext\n'], `${fault} at ${failed}`).toContain(
        readFileSync(path, 'utf8'),
      )
    }
    expect(outcomes.map(({ failed }) => failed)).toContain('ftruncateSync')
  })

  test('glues nothing to half a line that an append left when the disk was full', () => {
    const path = join(freshFolder(), 'log')
    const { fs, calls } = failingDisk('ENOSPC', 4) // after open, and open, fsync and close of the folder
    const log = openLineLog(path, fs)
    expect(() => log.append('first line')).toThrow('ENOSPC: writeSync')
    expect(calls.at(-1)).toBe('ftruncateSync')
    log.append('second line')
    log.close()
    expect(readFileSync(path, 'utf8')).toBe('second line\n')
  })

  test('a synced line in a new log survives a loss of power', () => {
    const disk = watchedDisk()
    const log = openLineLog(join(freshFolder(), 'log'), disk.fs)
    log.append('one')
    expect(disk.unsynced()).toHaveLength(1)
    log.sync()
    log.close()
    expect(disk.unsynced()).toEqual([])
  })

  test('so it does where the process that made the log was killed before the folder was synced', () => {
    const path = join(freshFolder(), 'log')
    const calls = ['openSync', 'openSync'].length
    for (let at = 1; at <= calls; at++) {
      expect(() => openLineLog(path, failingDisk('death', at).fs)).toThrow('death')
      const disk = watchedDisk()
      const log = openLineLog(path, disk.fs)
      log.append('one')
      log.sync()
      log.close()
      expect(disk.unsynced()).toEqual([])
      rmSync(path)
    }
  })
})
