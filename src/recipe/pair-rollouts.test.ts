import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { rolloutOf } from '../../test/judged-rollouts.ts'
import { InputError, UserError } from '../base/errors.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { loadRollouts, usableRollouts } from './pair-rollouts.ts'

const makeFolder = folderMaker()

async function load(lines: readonly unknown[]) {
  const path = join(makeFolder(), 'rollouts.jsonl')
  writeFileSync(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\r\n'))
  const events: StageEvent[] = []
  const loading = loadRollouts(path)
  for (;;) {
    const next = await loading.next()
    if (next.done) return { rollouts: next.value, events, path }
    events.push(next.value)
  }
}

test('rollouts are read each once, rows that are none are told with their place', async () => {
  const [a, b] = [rolloutOf('a'), rolloutOf('b')]
  const { rollouts, events, path } = await load([a, '{"id": 1}', b, a, 'no JSON'])
  expect(rollouts).toEqual([a, b])
  expect(events).toMatchObject([{ type: 'items-dropped', count: 2, total: 5, example: `${path}:2` }])
})

test('a file without a rollout is refused with what is wrong in it, a missing one with what makes one', async () => {
  await expect(load([{ prompt: 'p' }])).rejects.toThrow(InputError)
  await expect(load([{ prompt: 'p' }])).rejects.toThrow(/:1: expected a rollout, .*, found id: /)
  await expect(loadRollouts(join(makeFolder(), 'none.jsonl')).next()).rejects.toThrow(/stepdpo generate/)
  const empty = join(makeFolder(), 'empty')
  mkdirSync(empty)
  await expect(loadRollouts(empty).next()).rejects.toThrow(UserError)
})

test('what cannot be used is counted by reason: blank completions, foreign steps, problems with two answers', () => {
  const reasons = new Map<string, number>()
  const good = [
    rolloutOf('a'),
    rolloutOf('b', { problem: 'half', answer: '0.5' }),
    rolloutOf('c', { problem: 'half', answer: '1/2' }),
  ]
  const bad = [
    rolloutOf(' \n'),
    rolloutOf('a', { steps: ['b'] }),
    rolloutOf('a', { problem: 'two', answer: '3' }),
    rolloutOf('a', { problem: 'two', answer: '4' }),
    rolloutOf('a', { problem: 'known to one', answer: null }),
    rolloutOf('a', { problem: 'known to one' }),
    rolloutOf('a', { steps: Array.from({ length: 1001 }, () => 'a'), completion: 'a'.repeat(1001) }),
  ]
  expect(usableRollouts([...bad, ...good], reasons)).toEqual(good)
  expect(Object.fromEntries(reasons)).toEqual({
    'the solution has no step, or blank ones only': 1,
    'its steps are not in its completion': 1,
    'its problem has different answers': 4,
    'expected at most 1000 steps, found 1001': 1,
  })
})
