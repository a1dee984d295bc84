import { expect, test } from 'vitest'
import type { StageEvent } from '../data/stage-events.ts'
import { openStageView } from './stage-lines.ts'

const begin: StageEvent = {
  type: 'stage-begin',
  stage: 'generate',
  facts: 'm · 2 × 4',
  known: 3,
  total: 8,
  unit: 'rollouts',
}
const progress = (done: number, seconds: number): StageEvent => ({
  type: 'stage-progress',
  stage: 'generate',
  done,
  total: 8,
  unit: 'rollouts',
  seconds,
  note: '120 tok/s',
})
const end: StageEvent = {
  type: 'stage-end',
  stage: 'generate',
  lines: ['8 rollouts', 'two lines'],
  seconds: 9,
  folder: 'f',
}

function show(
  events: readonly StageEvent[],
  options: { json?: boolean; isLive?: boolean; columns?: number } = {},
): string {
  const { json = false, isLive = false, columns = 80 } = options
  let written = ''
  const view = openStageView({ columns, write: (text) => (written += text) }, { json, isLive })
  for (const event of events) view.show(event)
  view.close()
  return written
}

test('in a pipe a stage is its beginning and its result, and progress every ten seconds', () => {
  expect(show([begin, progress(1, 1), progress(8, 2), end])).toBe(
    'generate m · 2 × 4 · 8 rollouts, 3 of them known\ngenerate 8 rollouts\n         two lines\n',
  )
  const slow = show([begin, progress(1, 4), progress(3, 11), progress(4, 15), progress(8, 22), end]).split('\n')
  expect(slow.slice(1, 3)).toEqual([
    'generate 3/8 rollouts  [00:11<00:18]  120 tok/s',
    'generate 8/8 rollouts  [00:22<00:00]  120 tok/s',
  ])
})

test('on a terminal one line is drawn again, never wider than the terminal, and cleared before what is said', () => {
  const drawn = show([begin, progress(1, 1), progress(4, 2), end], { isLive: true, columns: 40 })
  const [, first, second] = drawn.replaceAll('\r\u001b[K', '\n').split('\n')
  for (const line of [first, second]) expect(line.length).toBeLessThan(40)
  expect(first).toMatch(/^generate ██/)
  expect(drawn).toContain('\r\u001b[Kgenerate 8 rollouts\n')
})

test('text of strangers cannot steer the terminal, and JSON is one event a line', () => {
  const dropped: StageEvent = {
    type: 'items-dropped',
    stage: 'pairs',
    what: 'rows',
    count: 1,
    total: 2,
    reason: 'bad \u001b[2J',
    example: '',
  }
  expect(show([dropped])).toBe('⚠ 1 of 2 rows left out: bad \ufffd[2J\n')
  const lines = show([begin, progress(1, 1), dropped], { json: true })
    .trimEnd()
    .split('\n')
  expect(lines.map((line) => JSON.parse(line))).toEqual([begin, progress(1, 1), dropped])
})
