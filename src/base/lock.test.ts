/** One writer per folder, between real processes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { program } from '../../test/programs.ts'
import { UserError } from './errors.ts'
import { lockFolder } from './lock.ts'

const freshFolder = folderMaker()
const children = new Set<ChildProcess>()
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

const script = program('test/storm/holder.ts')

/** A process that runs test/storm/holder.ts: what it got is read once it is told to go. */
async function startHolder(...given: string[]) {
  const child = spawn(process.execPath, [script, ...given], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.add(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const read = async (): Promise<unknown> => JSON.parse((await lines.next()).value)
  await lines.next()
  return {
    go: () => {
      child.stdin.write('go\n')
      return read()
    },
    end: async (signal?: 'SIGKILL') => {
      const ended = once(child, 'exit')
      if (signal === undefined) child.stdin.end()
      else child.kill(signal)
      await ended
      children.delete(child)
    },
  }
}

/** A folder whose owner was killed. */
async function abandonedFolder(): Promise<string> {
  const folder = freshFolder()
  const holder = await startHolder('hold', folder)
  expect(await holder.go()).toBe(true)
  await holder.end('SIGKILL')
  return folder
}
const abandoned = await abandonedFolder()

/** A folder whose lock names this owner. */
function lockedBy(pid: number, begun: string, host: string): string {
  const folder = freshFolder()
  mkdirSync(join(folder, 'run.lock', `${pid}_${begun}_${host}`), { recursive: true })
  return folder
}

/** When a process began, as the kernel counts (field 22 of its stat). */
function beginningOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[19]
}

const hasProc = existsSync('/proc/self/stat')

test('of four processes that race for a folder exactly one gets it, a hundred times, half of them from a dead owner', async () => {
  const folders = Array.from({ length: 100 }, (_, at) => {
    const folder = freshFolder()
    if (at % 2 === 0) cpSync(abandoned, folder, { recursive: true })
    return folder
  })
  const racers = await Promise.all(Array.from({ length: 4 }, () => startHolder('race', ...folders)))
  const results = await Promise.all(racers.map(({ go }) => go()))
  const winners = folders.map((_, at) => results.filter((won) => Array.isArray(won) && won[at] === true).length)
  expect(winners).toEqual(folders.map(() => 1))
  expect(new Set(folders.flatMap((folder) => readdirSync(folder)))).toEqual(new Set(['run.lock']))
  await Promise.all(racers.map(({ end }) => end()))
})

test('of processes that take turns none ever meets another', async () => {
  const folder = freshFolder()
  const holders = await Promise.all(Array.from({ length: 3 }, () => startHolder('turns', folder, '40')))
  expect(await Promise.all(holders.map(({ go }) => go()))).toEqual([{ met: 0 }, { met: 0 }, { met: 0 }])
  expect(readdirSync(folder)).toEqual([])
  await Promise.all(holders.map(({ end }) => end()))
})

test('a folder that a living process holds is refused in words, and free when it gives it back', () => {
  const folder = freshFolder()
  const lock = lockFolder(folder)
  const refused = (): unknown => lockFolder(folder)
  expect(refused).toThrow(UserError)
  expect(refused).toThrow(`${folder} is in use by process ${process.pid} on ${hostname()}`)
  lock.release()
  expect(readdirSync(folder)).toEqual([])
  lockFolder(folder).release()
})

test('a killed process holds nothing', () => {
  const folder = freshFolder()
  cpSync(abandoned, folder, { recursive: true })
  expect(readdirSync(join(folder, 'run.lock'))).toHaveLength(1)
  const lock = lockFolder(folder)
  expect(readdirSync(join(folder, 'run.lock'))).toEqual([expect.stringMatching(`^${process.pid}_`)])
  lock.release()
})

test.skipIf(!hasProc)('a process id that was given to another process since is no owner', () => {
  lockFolder(lockedBy(process.pid, '1', hostname())).release()
  expect(() => lockFolder(lockedBy(process.pid, beginningOf(process.pid), hostname()))).toThrow(/in use by process/)
})

test.skipIf(!hasProc)('a process that has ended but that nobody waited for is no owner', async () => {
  // `sleep` inherits the child of the shell it replaces, and never asks for its end. The child ends when that has happened:
  // before, the shell would have asked.
  const script = '(until grep -q sleep /proc/$$/comm; do :; done) & echo $!; exec sleep 60'
  const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(parent)
  const pid = Number(await once(parent.stdout, 'data'))
  const state = (): string => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1][0]
  await expect.poll(state, { timeout: 20_000 }).toBe('Z')
  lockFolder(lockedBy(pid, beginningOf(pid), hostname())).release()
})

test('the lock of another machine is respected, whatever its number', () => {
  const folder = lockedBy(2 ** 22 + 1, '1', 'elsewhere.example')
  expect(() => lockFolder(folder)).toThrow(/in use by process 4194305 on elsewhere\.example.*remove .*run\.lock/)
  expect(readdirSync(join(folder, 'run.lock'))).toHaveLength(1)
})

test('a lock of another machine that is kept fresh counts until it was not touched for too long', () => {
  const folder = lockedBy(7, '1', 'elsewhere.example')
  const freshMs = 120_000
  const age = (ms: number): void => {
    const then = new Date(Date.now() - ms)
    utimesSync(join(folder, 'run.lock', '7_1_elsewhere.example'), then, then)
  }
  age(60_000)
  expect(() => lockFolder(folder, { freshMs })).toThrow(/in use by process 7 on elsewhere/)
  age(130_000)
  expect(() => lockFolder(folder)).toThrow(/in use/) // of a run, whose thread may be held up for long
  const lock = lockFolder(folder, { freshMs })
  expect(readdirSync(join(folder, 'run.lock'))).toEqual([expect.stringMatching(`^${process.pid}_`)])
  lock.release()
})

test('a lock is kept fresh while it is held, and no longer', async () => {
  const folder = freshFolder()
  const lock = lockFolder(folder, { freshMs: 240 })
  const [name] = readdirSync(join(folder, 'run.lock'))
  const touched = (): number => statSync(join(folder, 'run.lock', name)).mtimeMs
  const first = touched()
  await expect.poll(touched, { interval: 10, timeout: 20_000 }).toBeGreaterThan(first + 50)
  lock.release()
  await new Promise((wake) => setTimeout(wake, 50))
  expect(readdirSync(folder)).toEqual([])
})

test('to release what another process holds by now does nothing', async () => {
  const folder = freshFolder()
  const mine = lockFolder(folder)
  mine.release()
  const holder = await startHolder('hold', folder)
  expect(await holder.go()).toBe(true)
  mine.release()
  expect(() => lockFolder(folder)).toThrow(/in use by process/)
  await holder.end()
  lockFolder(folder).release()
})

test('a lock left without an owner between the two steps of its removal is free', () => {
  const folder = freshFolder()
  mkdirSync(join(folder, 'run.lock'))
  lockFolder(folder).release()
  expect(readdirSync(folder)).toEqual([])
})

test('what is no lock of ours is not removed, and named', () => {
  const folder = freshFolder()
  writeFileSync(join(folder, 'run.lock'), 'something else')
  expect(() => lockFolder(folder)).toThrow(/run\.lock could not be taken: ENOTDIR/)
  expect(readFileSync(join(folder, 'run.lock'), 'utf8')).toBe('something else')
  expect(readdirSync(folder)).toEqual(['run.lock'])
})

test('a folder that cannot be written is said in words', () => {
  expect(() => lockFolder(join(freshFolder(), 'none'))).toThrow(UserError)
})
