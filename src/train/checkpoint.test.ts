/** Checkpoints under faults: whatever fails while one is written or comes to one later, what is loaded is whole. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { failingDisk, quickDisk, watchedDisk } from '../../test/storm/disk.ts'
import { UserError } from '../base/errors.ts'
import { type FileSystem, removeTemporaries } from '../base/files.ts'
import { sha256 } from '../base/hash.ts'
import {
  type CheckpointFolder,
  checkpointPath,
  damageOf,
  listCheckpoints,
  MANIFEST,
  newestWhole,
  pruneCheckpoints,
  takeCheckpoint,
  writeCheckpoint,
} from './checkpoint.ts'

const freshFolder = folderMaker()

const NAMES = ['adapter_model.safetensors', 'optimizer.safetensors', 'trainer_state.json'] as const

/** Files whose bytes tell the update. One comes in parts, as tensors do. */
function filesOf(update: number) {
  const [weights, optimizer, state] = NAMES
  return new Map<string, string | Uint8Array | Iterable<string>>([
    [weights, [`weights `, `after ${update}`]],
    [optimizer, Buffer.from(`moments after ${update}`)],
    [state, `{"global_step": ${update}}`],
  ])
}

const write = (output: string, update: number, fs: FileSystem = quickDisk) =>
  writeCheckpoint(output, update, filesOf(update), fs)

function makeRun(...updates: readonly number[]): string {
  const output = freshFolder()
  for (const update of updates) write(output, update)
  return output
}

interface Found {
  readonly update: number | undefined
  readonly reasons: readonly string[]
}

function findNewest(output: string): Found {
  const reasons: string[] = []
  const found = newestWhole(output, ({ update }, reason) => reasons.push(`${update}: ${reason}`))
  if (found !== undefined) expectContent(found)
  return { update: found?.update, reasons }
}

/** That its bytes are those that were written, whatever the manifest says. */
function expectContent({ path, update }: CheckpointFolder): void {
  expect(readFileSync(join(path, NAMES[0]), 'utf8')).toBe(`weights after ${update}`)
  expect(readFileSync(join(path, NAMES[1]), 'utf8')).toBe(`moments after ${update}`)
  expect(readFileSync(join(path, NAMES[2]), 'utf8')).toBe(`{"global_step": ${update}}`)
}

const updatesOf = (output: string): number[] => listCheckpoints(output).map(({ update }) => update)

describe.each(['ENOSPC', 'death'] as const)('%s at any call', (fault) => {
  /** Lets each call fail once, and gives the outputs with the call that failed. */
  function failEverywhere(prepare: () => string, act: (output: string, fs: FileSystem) => void) {
    const outcomes: { readonly output: string; readonly failed: string }[] = []
    for (let at = 0; ; at++) {
      const output = prepare()
      const { fs, calls } = failingDisk(fault, at)
      try {
        act(output, fs)
        return outcomes
      } catch (error) {
        expect(error).toMatchObject({ code: fault })
      }
      outcomes.push({ output, failed: calls[at] })
    }
  }

  test('of a save leaves the checkpoints before as they were, and the new one whole or not at all', () => {
    const before = makeRun(2)
    const prepare = (): string => {
      const output = freshFolder()
      cpSync(before, output, { recursive: true })
      return output
    }
    const outcomes = failEverywhere(prepare, (output, fs) => write(output, 3, fs))
    expect(outcomes.length).toBeGreaterThan(20)
    const newest = outcomes.map(({ output }) => findNewest(output))
    for (const { reasons } of newest) expect(reasons).toEqual([])
    // From the rename on it is the new one: only the sync of its name is left to fail.
    const first = newest.findIndex(({ update }) => update === 3)
    expect(newest.map(({ update }) => update)).toEqual(newest.map((_, at) => (at < first ? 2 : 3)))
    expect(outcomes.slice(first).map(({ failed }) => failed)).toEqual(['openSync', 'fsyncSync', 'closeSync'])
    for (const { output } of outcomes) {
      if (fault !== 'death') expect(readdirSync(output).filter((name) => name.startsWith('.tmp-'))).toEqual([])
      expect(updatesOf(output)).toContain(2)
      removeTemporaries(output)
      write(output, 4) // the run goes on
      expect(findNewest(output)).toEqual({ update: 4, reasons: [] })
    }
  })

  test('of pruning takes none that was to stay, and what is listed is whole', () => {
    const before = makeRun(1, 2, 3, 4)
    const prepare = (): string => {
      const output = freshFolder()
      cpSync(before, output, { recursive: true })
      return output
    }
    const written = (output: string) => ({ path: checkpointPath(output, 4), update: 4 })
    const outcomes = failEverywhere(prepare, (output, fs) =>
      pruneCheckpoints(output, written(output), { limit: 1, kept: 2 }, fs),
    )
    for (const { output } of outcomes) {
      expect(updatesOf(output)).toEqual(expect.arrayContaining([4, 2]))
      expect(listCheckpoints(output).map(damageOf)).toEqual(updatesOf(output).map(() => undefined))
      removeTemporaries(output)
      pruneCheckpoints(output, written(output), { limit: 1, kept: 2 }, quickDisk)
      expect(updatesOf(output)).toEqual([4, 2])
    }
  })

  test('of a save over a damaged checkpoint leaves the one before it', () => {
    const before = makeRun(1, 2)
    rmSync(join(checkpointPath(before, 2), NAMES[1]))
    const prepare = (): string => {
      const output = freshFolder()
      cpSync(before, output, { recursive: true })
      return output
    }
    for (const { output } of failEverywhere(prepare, (output, fs) => write(output, 2, fs))) {
      expect([1, 2]).toContain(findNewest(output).update)
    }
  })
})

test('a checkpoint that is shown survives a loss of power', () => {
  const output = makeRun(1)
  const disk = watchedDisk()
  const written = write(output, 2, disk.fs)
  pruneCheckpoints(output, written, { limit: 1, kept: undefined }, disk.fs)
  expect(disk.problems).toEqual([])
  expect(disk.unsynced()).toEqual([])
  expect(updatesOf(output)).toEqual([2])
})

describe('a damaged newest checkpoint is never loaded, the one before it is', () => {
  const whole = makeRun(1, 2)
  const bytesOf = (name: string): Buffer => readFileSync(join(checkpointPath(whole, 2), name))

  /** Harms checkpoint 2 of a run of two, and says what was found and why. */
  function harm(damage: (folder: string) => void): Found {
    const output = freshFolder()
    cpSync(whole, output, { recursive: true })
    damage(checkpointPath(output, 2))
    return findNewest(output)
  }

  const everyFile = [...NAMES, MANIFEST]

  test('before it is harmed it is the newest', () => {
    expect(harm(() => {})).toEqual({ update: 2, reasons: [] })
  })

  test.each(everyFile)('%s cut to nothing, to its half, by bytes; with a byte more; gone', (name) => {
    const { length } = bytesOf(name)
    const damages: ((path: string) => void)[] = [
      ...[0, length >> 1, length - 2].map((size) => (path: string) => truncateSync(path, size)),
      (path) => appendFileSync(path, 'x'),
      (path) => rmSync(path),
    ]
    for (const damage of damages) {
      const found = harm((folder) => damage(join(folder, name)))
      expect(found).toEqual({ update: 1, reasons: [expect.stringMatching(`^2: .*${name}`)] })
    }
  })

  test.each(NAMES)('%s less its last byte, and with any one bit of another value', (name) => {
    const bytes = bytesOf(name)
    const cut = harm((folder) => truncateSync(join(folder, name), bytes.length - 1))
    expect(cut).toEqual({ update: 1, reasons: [`2: ${name} has ${bytes.length - 1} bytes instead of ${bytes.length}`] })
    for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
      for (const bit of [0, 7]) {
        const flipped = Buffer.from(bytes)
        flipped[at] ^= 1 << bit
        const found = harm((folder) => writeFileSync(join(folder, name), flipped))
        expect(found).toEqual({ update: 1, reasons: [`2: ${name} has changed since it was written`] })
      }
    }
  })

  test('a bit of the manifest with another value is found, or does not matter', () => {
    const bytes = bytesOf(MANIFEST)
    const folder = checkpointPath(makeRun(2), 2)
    let found = 0
    for (let at = 0; at < bytes.length; at += 3) {
      const flipped = Buffer.from(bytes)
      flipped[at] ^= 1 << (at % 8)
      writeFileSync(join(folder, MANIFEST), flipped)
      const damage = damageOf({ path: folder, update: 2 })
      if (damage !== undefined) found++
      // White space may change its kind.
      else expect(JSON.parse(flipped.toString())).toEqual(JSON.parse(bytes.toString()))
    }
    expect(found).toBeGreaterThan(bytes.length / 6)
  })

  interface Manifest {
    version: unknown
    update: unknown
    files: Record<string, { bytes: unknown; sha256: unknown }>
  }

  function editManifest(edit: (manifest: Manifest) => void): (folder: string) => void {
    return (folder) => {
      const manifest: Manifest = JSON.parse(readFileSync(join(folder, MANIFEST), 'utf8'))
      edit(manifest)
      writeFileSync(join(folder, MANIFEST), JSON.stringify(manifest))
    }
  }

  const outside = 'a file outside'
  const elsewhere = join(freshFolder(), 'outside')
  const entry = { bytes: outside.length, sha256: sha256(outside) }
  const edits: [string, (manifest: Manifest) => void][] = [
    ['another version', (manifest) => Object.assign(manifest, { version: 2 })],
    ['a field more', (manifest) => Object.assign(manifest, { more: 1 })],
    ['no files', (manifest) => Object.assign(manifest, { files: {} })],
    ['files as an array', (manifest) => Object.assign(manifest, { files: [] })],
    ['a path out of the folder', ({ files }) => Object.assign(files, { '../outside': entry })],
    ['a path out of the folder, with backslashes', ({ files }) => Object.assign(files, { '..\\outside': entry })],
    ['an absolute path', ({ files }) => Object.assign(files, { [elsewhere]: entry })],
    ['the folder itself', ({ files }) => Object.assign(files, { '.': entry })],
    ...NAMES.map((name): [string, (manifest: Manifest) => void] => [
      `no ${name}`,
      ({ files }) => Reflect.deleteProperty(files, name),
    ]),
    ['a size that is no number', ({ files }) => Object.assign(files[NAMES[0]], { bytes: '19' })],
  ]

  test.each(edits)('a manifest with %s', (_, edit) => {
    writeFileSync(elsewhere, outside)
    const found = harm((folder) => {
      writeFileSync(join(folder, '..', 'outside'), outside)
      editManifest(edit)(folder)
    })
    expect(found).toEqual({ update: 1, reasons: [expect.stringContaining(MANIFEST)] })
  })

  test('the state after another update under its name', () => {
    const found = harm((folder) => {
      rmSync(folder, { recursive: true })
      cpSync(checkpointPath(whole, 1), folder, { recursive: true })
    })
    expect(found).toEqual({ update: 1, reasons: ['2: it holds the state after update 1'] })
  })

  test('a file of another update among its own', () => {
    const found = harm((folder) => cpSync(join(checkpointPath(whole, 1), NAMES[1]), join(folder, NAMES[1])))
    expect(found).toEqual({ update: 1, reasons: [`2: ${NAMES[1]} has changed since it was written`] })
  })

  test.each(NAMES)('a folder in the place of %s', (name) => {
    const found = harm((folder) => {
      rmSync(join(folder, name))
      mkdirSync(join(folder, name))
    })
    expect(found).toEqual({ update: 1, reasons: [expect.stringContaining(name)] })
  })

  test('a file in its place, and an empty folder', () => {
    const file = harm((folder) => {
      rmSync(folder, { recursive: true })
      writeFileSync(folder, '')
    })
    expect(file.update).toBe(1)
    const empty = harm((folder) => {
      rmSync(folder, { recursive: true })
      mkdirSync(folder)
    })
    expect(empty).toEqual({ update: 1, reasons: [expect.stringContaining(MANIFEST)] })
  })

  test('files that are no part of it do not matter', () => {
    expect(harm((folder) => writeFileSync(join(folder, 'notes.txt'), 'mine'))).toEqual({ update: 2, reasons: [] })
  })
})

test('where none is whole it is said, and nothing is deleted', () => {
  const output = makeRun(1, 2)
  for (const { path } of listCheckpoints(output)) rmSync(join(path, NAMES[1]))
  const before = readdirSync(output, { recursive: true }).sort()
  expect(() => newestWhole(output, () => {})).toThrow(UserError)
  expect(() => newestWhole(output, () => {})).toThrow(/none of its 2 checkpoints is whole; nothing was deleted/)
  expect(readdirSync(output, { recursive: true }).sort()).toEqual(before)
})

test('a folder without checkpoints, or that is not there, has no newest', () => {
  expect(findNewest(freshFolder())).toEqual({ update: undefined, reasons: [] })
  expect(findNewest(join(freshFolder(), 'none'))).toEqual({ update: undefined, reasons: [] })
})

test('numbers order checkpoints, not letters, and other names are none', () => {
  const output = makeRun(9, 10, 100)
  for (const name of ['checkpoint-', 'checkpoint-1x', '.tmp-checkpoint-200-1-1', 'checkpoint-2000000000000000']) {
    mkdirSync(join(output, name))
  }
  expect(updatesOf(output)).toEqual([100, 10, 9])
})

describe('pruning', () => {
  const cases: [string, number[], { written: number; limit: number; kept: number | undefined }, number[]][] = [
    ['keeps the newest', [1, 2, 3, 4], { written: 4, limit: 2, kept: undefined }, [4, 3]],
    ['keeps the best beside them', [1, 2, 3, 4], { written: 4, limit: 2, kept: 1 }, [4, 3, 1]],
    ['counts the best among the newest', [1, 2, 3, 4], { written: 4, limit: 2, kept: 3 }, [4, 3]],
    ['keeps the one that was written, if only one', [1, 2], { written: 2, limit: 1, kept: undefined }, [2]],
    ['removes what an abandoned future left', [1, 2, 8, 9], { written: 2, limit: 2, kept: undefined }, [2, 1]],
    ['keeps the best of it all the same', [1, 2, 8, 9], { written: 2, limit: 1, kept: 9 }, [9, 2]],
    ['removes nothing where there are few', [1, 2], { written: 2, limit: 9, kept: undefined }, [2, 1]],
  ]
  test.each(cases)('%s', (_, updates, { written, ...options }, left) => {
    const output = makeRun(...updates)
    pruneCheckpoints(output, { path: checkpointPath(output, written), update: written }, options, quickDisk)
    expect(updatesOf(output)).toEqual(left)
    expect(listCheckpoints(output).map(damageOf)).toEqual(left.map(() => undefined))
  })

  test('never takes the last whole one, though those before it are damaged', () => {
    const output = makeRun(1, 2, 3)
    rmSync(join(checkpointPath(output, 2), NAMES[0]))
    pruneCheckpoints(output, { path: checkpointPath(output, 3), update: 3 }, { limit: 1, kept: undefined })
    expect(findNewest(output)).toEqual({ update: 3, reasons: [] })
    expect(existsSync(checkpointPath(output, 2))).toBe(false)
  })
})

describe('what another program has written', () => {
  const [weights, , state] = NAMES
  function writeForeign(written: string, update: number): string {
    const path = checkpointPath(written, update)
    mkdirSync(path)
    for (const name of [weights, 'optimizer.pt', state]) writeFileSync(join(path, name), `${name} ${update}`)
    return path
  }

  test('is no checkpoint until it is taken over, is whole then, and damaged where a file of it changes', () => {
    const [written, output] = [freshFolder(), freshFolder()]
    const from = writeForeign(written, 4)
    expect(listCheckpoints(output)).toEqual([])
    const taken = takeCheckpoint(written, output, 4, ['stepdpo.json', '{}'])
    const path = checkpointPath(output, 4)
    expect(taken).toEqual({ path, update: 4 })
    expect(existsSync(from)).toBe(false)
    expect(damageOf(taken)).toBeUndefined()
    expect(readFileSync(join(path, 'stepdpo.json'), 'utf8')).toBe('{}')
    appendFileSync(join(path, 'optimizer.pt'), 'x')
    expect(damageOf(taken)).toContain('optimizer.pt')
  })

  test('takes the place of the checkpoint that a run which went back has left there', () => {
    const [written, output] = [freshFolder(), freshFolder()]
    for (const begin of ['1', '2']) {
      writeForeign(written, 4)
      takeCheckpoint(written, output, 4, ['stepdpo.json', begin])
    }
    expect(readFileSync(join(checkpointPath(output, 4), 'stepdpo.json'), 'utf8')).toBe('2')
    expect(readdirSync(output)).toEqual(['checkpoint-4'])
  })

  test('is refused where it holds a folder, whose files nobody would verify', () => {
    const [written, output] = [freshFolder(), freshFolder()]
    mkdirSync(join(writeForeign(written, 4), 'optimizer_0'))
    expect(() => takeCheckpoint(written, output, 4, ['stepdpo.json', '{}'])).toThrow(/optimizer_0 is not a file/)
    expect(listCheckpoints(output)).toEqual([])
  })
})
