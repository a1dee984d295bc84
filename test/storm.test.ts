/**
 * A run that is killed again and again ends as if nothing had been. A few kills each time; STEPDPO_STORM=1 for a
 * hundred and more.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { type Random, random } from '../src/base/random.ts'
import type { RunEvent } from '../src/data/events.ts'
import { openMetricsLog, openRunFolder } from '../src/recipe/run-folder.ts'
import { train } from '../src/recipe/train.ts'
import { damageOf, listCheckpoints } from '../src/train/checkpoint.ts'
import { program } from './programs.ts'
import { makeSite, outcome, runToEnd, settingsFor, testWorld } from './run.ts'
import { isSlow } from './slow.ts'
import { STORM_PROBLEMS, stormSettings } from './storm/settings.ts'

/** Kills in all, and the seeds of the runs that share them. */
const SEEDS = isSlow ? [1, 2, 3, 4] : [1]
const KILLS_PER_RUN = isSlow ? 20 : 1

const site = makeSite(STORM_PROBLEMS)
afterAll(() => rmSync(site.folder, { recursive: true }), 60_000)
const script = program('test/storm/child.ts')

/** How long a calm run takes here, from its beginning: kills are spread over it. */
let calmMs = 0

/** Runs until it ends (true), or was killed: by itself while it saves, or by us after a while. */
async function runChild(name: string, resumes: boolean, draw: Random | undefined): Promise<boolean> {
  const isSelf = draw !== undefined && draw.below(2) === 0
  // A save is some 35 calls, pruning some 5 more; later ones come in updates and evaluations.
  const death = isSelf ? `save,${1 + draw.below(2)},${1 + draw.below(50)}` : 'none'
  const child = spawn(process.execPath, [script, site.folder, name, String(resumes), death], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (text) => {
    errors += text
  })
  const ended = once(child, 'close')
  let timer: NodeJS.Timeout | undefined
  await Promise.race([once(child.stdout, 'data'), ended])
  const started = performance.now()
  if (draw !== undefined && !isSelf) timer = setTimeout(() => child.kill('SIGKILL'), draw.uniform() * calmMs * 0.6)
  const [code, signal] = await ended
  clearTimeout(timer)
  if (draw === undefined) calmMs ||= performance.now() - started
  expect(errors).toBe('')
  if (signal === 'SIGKILL') return false
  expect(code).toBe(0)
  return true
}

/** Kills a run so many times, as long as it has not ended, then lets it end. */
async function storm(name: string, seed: number): Promise<number> {
  const draw = random(seed, 'storm')
  for (let kills = 0; kills < KILLS_PER_RUN; kills++) {
    if (await runChild(name, kills > 0, draw)) return kills
  }
  await runChild(name, true, undefined)
  return KILLS_PER_RUN
}

const calm = join(site.folder, 'calm')

test('the calm run is the same in a process of its own', async () => {
  await runChild('calm', false, undefined)
  // Every checkpoint of a calm run, to compare those with that a killed one has left.
  await runToEnd(settingsFor(site, 'all', { ...stormSettings, save_total_limit: 99 }), testWorld(site))
  const all = outcome(join(site.folder, 'all'))
  const own = outcome(calm)
  expect(own.size).toBeGreaterThan(8)
  for (const [path, content] of own) expect(all.get(path) === content, path).toBe(true)
})

test.each(SEEDS)(
  'a run that is killed again and again (seed %i) ends like the calm one, bit for bit',
  async (seed) => {
    let total = 0
    // A run may end before all its kills.
    for (let run = 0; total < KILLS_PER_RUN; run++) {
      const name = `storm-${seed}-${run}`
      total += await storm(name, seed * 1000 + run)
      const output = join(site.folder, name)
      const [found, expected, all] = [output, calm, join(site.folder, 'all')].map(outcome)
      for (const [path, content] of expected) expect(found.get(path) === content, `${path} of ${name}`).toBe(true)
      // A death between saving and pruning may leave a checkpoint more; it is a good one.
      for (const [path, content] of found) expect(all.get(path) === content, `${path} of ${name}`).toBe(true)
      expect(listCheckpoints(output).map(damageOf)).toEqual(listCheckpoints(output).map(() => undefined))
      const litter = [...readdirSync(output), ...readdirSync(join(output, 'stepdpo'))]
      expect(litter.filter((file) => /^\.tmp-|^run\.lock/.test(file))).toEqual([])
      rmSync(output, { recursive: true })
    }
  },
  600_000,
)

test('an evaluation that was stopped, made up for and lost again is in the metrics once', async () => {
  const settings = settingsFor(site, 'stopped', { ...stormSettings, resume_from_checkpoint: true })
  /** Runs until something happens at update 3; then `leave` says how the run ends. */
  const runUntil = async (type: RunEvent['type'], leave: 'asked' | 'dropped'): Promise<void> => {
    const stop = new AbortController()
    for await (const event of train(settings, testWorld(site, stop.signal))) {
      if (event.type !== type || !('update' in event) || event.update !== 3) continue
      if (leave === 'dropped') return
      stop.abort()
    }
  }
  await runUntil('evaluation-begin', 'asked')
  expect(listCheckpoints(join(site.folder, 'stopped'))[0].update).toBe(3)
  await runUntil('evaluation-end', 'dropped')
  await runToEnd(settings, testWorld(site))
  const [found, expected] = ['stopped', 'all'].map((name) => outcome(join(site.folder, name)))
  const path = 'stepdpo/metrics.jsonl'
  expect(found.get(path)).toBe(expected.get(path))
})

test('metrics beyond the checkpoint are taken back, and all of them where a run begins anew', () => {
  const folder = openRunFolder(join(site.folder, 'taken-back'))
  const places = (): string[] => {
    const lines = readFileSync(folder.own('metrics.jsonl'), 'utf8').split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line)).map(({ kind, update, loss }) => `${kind} ${update} ${loss}`)
  }
  const write = (after: number, loss: number): void => {
    const log = openMetricsLog(folder, after)
    log.add('eval', after, { loss })
    log.add('train', after + 1, { loss })
    log.add('train', after + 2, { loss })
    log.close()
  }
  write(0, 0.1)
  expect(places()).toEqual(['eval 0 0.1', 'train 1 0.1', 'train 2 0.1'])
  write(1, 0.2)
  expect(places()).toEqual(['eval 0 0.1', 'train 1 0.1', 'eval 1 0.2', 'train 2 0.2', 'train 3 0.2'])
  write(0, 0.3)
  expect(places()).toEqual(['eval 0 0.3', 'train 1 0.3', 'train 2 0.3'])
  folder.release()
})
