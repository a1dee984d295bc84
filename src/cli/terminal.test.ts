import { EventEmitter } from 'node:events'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EventOf, RunEvent } from '../data/events.ts'
import { openView, wantsColours } from './terminal.ts'
import type { Clock, OutputStream, ProcessHost, View } from './view.ts'

const updateEnd = (update: number, updates = 500): EventOf<'update-end'> => ({
  type: 'update-end',
  update,
  updates,
  epoch: 0,
  metrics: {
    loss: 0.41271,
    'rewards/margins': 0.83,
    'rewards/accuracies': 0.84,
    learning_rate: 8.1e-6,
    grad_norm: 1.3,
  },
  tokens: 824,
  seconds: 2,
  residentBytes: 5.1e9,
})

const events: RunEvent[] = [
  {
    type: 'run-begin',
    run: 'calm-otter',
    folder: 'out',
    model: 'Qwen/Qwen3-0.6B',
    adapter: 'LoRA r16',
    data: 'prm800k.jsonl',
    device: 'cpu(2)',
  },
  { type: 'model-loaded', parameters: 596_049_920, trainable: 2_293_760, seconds: 3 },
  {
    type: 'rows-dropped',
    what: 'rows',
    count: 12,
    total: 1036,
    reason: 'longer than max_length 1024',
    example: 'prm800k.jsonl:17',
  },
  {
    type: 'data-loaded',
    groups: 700,
    pairs: 1024,
    examples: '1,024 pairs in 700 groups',
    problems: 512,
    evalGroups: 60,
    updates: 500,
  },
  { type: 'checkpoint-damaged', folder: 'out/checkpoint-190', reason: 'adapter_model.safetensors is cut' },
  { type: 'run-resumed', update: 180, folder: 'out/checkpoint-180' },
  { type: 'reference-progress', done: 1024, total: 1024, cached: 1024 },
  updateEnd(181),
  updateEnd(182),
  { type: 'evaluation-begin', update: 182, total: 60 },
  { type: 'evaluation-progress', done: 60, total: 60 },
  {
    type: 'evaluation-end',
    update: 182,
    seconds: 9,
    metrics: {
      eval_loss: 0.447,
      'eval_rewards/accuracies': 0.81,
      'eval_rewards/accuracies_low': 0.77,
      'eval_rewards/accuracies_high': 0.84,
      'eval_rewards/margins': 0.7,
      'eval_reference/accuracies': 0.46,
    },
  },
  { type: 'checkpoint-saved', update: 182, folder: 'out/checkpoint-182', best: true },
  { type: 'warning', message: 'rewards/chosen has fallen for 40 steps\u001b[2J' },
  { type: 'run-interrupted', update: 182, folder: 'out/checkpoint-182' },
  { type: 'run-end', update: 500, seconds: 1101, metrics: {}, folder: 'out' },
]

/** A process whose death can be watched. */
function newHost(): ProcessHost & EventEmitter & { killed: string[] } {
  const killed: string[] = []
  return Object.assign(new EventEmitter(), {
    killed,
    pid: 1,
    kill: (_: number, signal: string) => killed.push(signal),
  })
}

/** A clock that is set by hand; `tick` runs what is to be run again and again. */
function newClock(): Clock & { ms: number; tick: () => void } {
  const clock = {
    ms: 0,
    tick: () => {},
    now: () => clock.ms,
    every: (_: number, task: () => void) => {
      clock.tick = task
      return () => {
        clock.tick = () => {}
      }
    },
  }
  return clock
}

interface Written extends OutputStream {
  text: string
}

function newPipe(): Written {
  const pipe = {
    text: '',
    write: (text: string) => {
      pipe.text += text
    },
  }
  return pipe
}

function open(stream: OutputStream, change: Partial<Parameters<typeof openView>[0]> = {}): View {
  return openView({
    stream,
    environment: {},
    clock: newClock(),
    host: newHost(),
    logFormat: 'text',
    loggingSteps: 2,
    ...change,
  })
}

function showAll(view: View): void {
  for (const event of events) view.show(event)
  view.close()
}

const messages = [
  '⚠ 12 of 1,036 rows left out: longer than max_length 1024 (first: prm800k.jsonl:17)',
  '⚠ out/checkpoint-190 cannot be resumed from: adapter_model.safetensors is cut',
  'resumed from checkpoint-180',
  'eval@182: loss 0.4470 acc 0.810 [0.770, 0.840] margin 0.700, untrained 0.460',
  'saved checkpoint-182 (best)',
  '⚠ rewards/chosen has fallen for 40 steps�[2J',
]

test('a pipe gets plain lines, one per logging_steps, and no escape sequence whatever the environment asks for', () => {
  for (const environment of [{}, { FORCE_COLOR: '3' }, { TERM: 'xterm-256color' }]) {
    const pipe = newPipe()
    showAll(open(pipe, { environment }))
    expect(pipe.text.split('\n')).toEqual([
      'stepdpo train Qwen/Qwen3-0.6B · LoRA r16 · prm800k.jsonl · cpu(2) · run calm-otter',
      'model: 2.3M of 596M parameters are trained',
      messages[0],
      'data: 1,024 pairs in 700 groups of 512 problems, 60 groups held out',
      messages[1],
      messages[2],
      'step=182/500 loss=0.4127 rewards/margins=0.83 rewards/accuracies=0.84 learning_rate=8.1e-06 grad_norm=1.3 tok/s=412',
      ...messages.slice(3),
      'stopped after update 182, saved out/checkpoint-182; --resume_from_checkpoint goes on from it',
      'finished 500 updates in 18:21: out',
      '',
    ])
  }
})

test('a dumb terminal and a build server get the plain lines too', () => {
  for (const environment of [{ TERM: 'dumb' }, { CI: 'true' }]) {
    const terminal = Object.assign(newPipe(), { isTTY: true, columns: 80 })
    showAll(open(terminal, { environment }))
    expect(terminal.text).not.toContain('\u001b')
  }
})

test('the last update is told even where logging_steps does not divide it', () => {
  const pipe = newPipe()
  const view = open(pipe, { loggingSteps: 4 })
  for (let update = 1; update <= 5; update++) view.show(updateEnd(update, 5))
  expect(pipe.text.match(/^step=\d+/gm)).toEqual(['step=4', 'step=5'])
})

test('long silent work gives a plain line every half minute', () => {
  const pipe = newPipe()
  const clock = newClock()
  const view = open(pipe, { clock })
  for (let done = 1; done <= 100; done++) {
    clock.ms += 1000
    view.show({ type: 'reference-progress', done, total: 100, cached: 0 })
  }
  expect(pipe.text).toBe('reference 30/100\nreference 60/100\nreference 90/100\n')
})

test('with --log_format json every event is one line that reads back equal, and no escape byte passes', () => {
  const pipe = newPipe()
  showAll(open(Object.assign(pipe, { isTTY: true }), { logFormat: 'json' }))
  expect(pipe.text).not.toContain('\u001b')
  const time = '1970-01-01T00:00:00.000Z'
  expect(
    pipe.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual(events.map((event) => ({ time, ...event })))
})

test('FORCE_COLOR outweighs NO_COLOR, and an empty NO_COLOR says nothing', () => {
  expect(wantsColours({})).toBe(true)
  expect(wantsColours({ NO_COLOR: '1' })).toBe(false)
  expect(wantsColours({ NO_COLOR: '' })).toBe(true)
  expect(wantsColours({ NO_COLOR: '1', FORCE_COLOR: '1' })).toBe(true)
  expect(wantsColours({ FORCE_COLOR: '0' })).toBe(false)
})

const CONTROL = /\p{Cc}\[([?\d;]*)([A-Za-z])|./gsu

/** A terminal that knows what the live view writes. Rows are broken at its width, and anew when that changes. */
function newScreen(columns: number) {
  let rows: { text: string; isBroken: boolean }[] = [{ text: '', isBroken: false }]
  let row = 0
  let column = 0
  const put = (char: string): void => {
    if (column === screen.columns) {
      rows[row].isBroken = true
      newline()
      column = 0
    }
    const { text, isBroken } = rows[row]
    rows[row] = { text: text.slice(0, column).padEnd(column) + char + text.slice(column + 1), isBroken }
    column++
  }
  const newline = (): void => {
    row++
    if (row === rows.length) rows.push({ text: '', isBroken: false })
  }
  const control = (count: number, command: string): void => {
    if (command === 'A') row = Math.max(row - count, rows.length - screen.rows, 0)
    else if (command === 'K') rows[row] = { text: '', isBroken: false }
    else if (command === 'J') rows = [...rows.slice(0, row), { text: rows[row].text.slice(0, column), isBroken: false }]
    else if (command !== 'm') throw new Error(`CSI ${command}`)
  }
  const screen = {
    isTTY: true,
    columns,
    rows: 24,
    isCursorShown: true,
    written: '',
    write(text: string): void {
      screen.written += text
      for (const [part, parameter, command] of text.matchAll(CONTROL)) {
        if (parameter === '?25') screen.isCursorShown = command === 'h'
        else if (command !== undefined) control(Number.parseInt(parameter, 10), command)
        else if (part === '\n') newline()
        else if (part === '\r') column = 0
        else put(part)
        if (part === '\n') column = 0 // the terminal driver adds a carriage return
      }
    },
    resize(width: number): void {
      const below = rows.slice(0, row).filter(({ isBroken }) => !isBroken).length
      const lines = screen.lines()
      screen.columns = width
      rows = lines.flatMap((line) => {
        const count = Math.max(1, Math.ceil(line.length / width))
        return Array.from({ length: count }, (_, index) => ({
          text: line.slice(index * width, (index + 1) * width),
          isBroken: index < count - 1,
        }))
      })
      row = 0
      for (let passed = 0; passed < below; row++) if (!rows[row].isBroken) passed++
    },
    /** What stands on the screen and above it, lines that were broken into rows made whole. */
    lines(): string[] {
      const lines: string[] = []
      let start = ''
      for (const { text, isBroken } of rows) {
        if (!isBroken) lines.push(start + text)
        start = isBroken ? start + text : ''
      }
      return lines
    },
  }
  return screen
}

test('on a terminal every message stands once above the block, in order, and the end below it', () => {
  const screen = newScreen(60)
  showAll(open(screen, { environment: { NO_COLOR: '1' } }))
  expect(screen.lines()).toEqual([
    ...messages,
    'stepdpo train  Qwen3-0.6B                     run calm-otter',
    'ref     ████████████████████  1,024/1,024 pairs  cached',
    'train   █████▊··········  182/500  [00:02<10:36, 2.0 s/step]',
    '  loss 0.4127 ▄▄  margin +0.83  acc 0.84  lr 8.1e-06',
    'finished 500 updates in 18:21: out',
    '',
  ])
})

test('messages and the last block are all that is left, whatever the order, the timing and the widths', () => {
  const width = fc.integer({ min: 20, max: 120 })
  const step = fc.record({ event: fc.constantFrom(...events), waitMs: fc.nat(300), width: fc.option(width) })
  fc.assert(
    fc.property(width, fc.array(step, { maxLength: 30 }), (startWidth, steps) => {
      const screen = newScreen(startWidth)
      const clock = newClock()
      const view = open(screen, { clock, environment: { NO_COLOR: '1' } })
      const calm = newScreen(startWidth)
      const calmClock = newClock()
      const calmView = open(calm, { clock: calmClock, environment: { NO_COLOR: '1' } })
      for (const { event, waitMs, width } of steps) {
        view.show(event)
        calmView.show(event)
        clock.ms += waitMs
        clock.tick()
        if (width !== null) screen.resize(width)
        calmClock.ms += waitMs
      }
      // The other screen saw the same events, but was wide from the beginning as this one is at the end.
      calm.resize(screen.columns)
      view.close()
      calmView.close()
      expect(screen.lines().filter((line) => line !== '')).toEqual(calm.lines().filter((line) => line !== ''))
    }),
    { numRuns: 200 },
  )
})

test('the block is drawn at most ten times a second, and once a second without events', () => {
  const screen = newScreen(80)
  const clock = newClock()
  const view = open(screen, { clock })
  const draws = (): number => screen.written.split('\r').length - 1
  for (let update = 1; update <= 1000; update++) {
    clock.ms += 1
    view.show(updateEnd(update, 1000))
    clock.tick()
  }
  expect(draws()).toBe(10)
  for (let tick = 1; tick <= 50; tick++) {
    clock.ms += 100
    clock.tick()
  }
  expect(draws()).toBe(15) // once for the updates that were waiting, then every second
})

test('a resized terminal is drawn anew at the next tick', () => {
  const screen = newScreen(80)
  const clock = newClock()
  const view = open(screen, { clock })
  view.show(events[0])
  clock.ms += 100
  screen.resize(30)
  clock.tick()
  expect(screen.lines()).toEqual(['stepdpo train  Qwen3-0.6B', 'Ctrl-C saves and stops', ''])
})

test('the block never takes more rows than the terminal has', () => {
  const screen = newScreen(80)
  screen.rows = 3
  showAll(open(screen, { environment: { NO_COLOR: '1' } }))
  expect(screen.lines().slice(messages.length)).toEqual([
    expect.stringMatching(/^stepdpo train/),
    expect.stringMatching(/^ref/),
    'finished 500 updates in 18:21: out',
    '',
  ])
})

test('a low terminal that was made narrow is not filled with empty rows', () => {
  const screen = newScreen(80)
  const clock = newClock()
  screen.rows = 4
  const view = open(screen, { clock })
  for (const event of events.slice(0, 9)) view.show(event)
  clock.ms += 100
  clock.tick()
  screen.resize(20)
  view.show({ type: 'warning', message: 'narrow' })
  clock.ms += 100
  clock.tick()
  expect(screen.lines().slice(0, -1)).not.toContain('')
})

test('the cursor is shown again after the end, a signal that kills, and an exit', () => {
  const opened = () => {
    const screen = newScreen(80)
    const host = newHost()
    const view = open(screen, { host })
    expect(screen.isCursorShown).toBe(false)
    return { screen, host, view }
  }
  const closed = opened()
  closed.view.close()
  expect(closed.screen.isCursorShown).toBe(true)
  expect(closed.host.eventNames()).toEqual([])

  const interrupted = opened()
  interrupted.host.emit('SIGINT', 'SIGINT')
  expect(interrupted.screen.isCursorShown).toBe(true)
  expect(interrupted.host.killed).toEqual(['SIGINT'])
  expect(interrupted.host.listenerCount('SIGINT')).toBe(0)

  const saving = opened()
  saving.host.on('SIGINT', () => {})
  saving.host.emit('SIGINT', 'SIGINT')
  expect(saving.host.killed).toEqual([])

  const crashed = opened()
  crashed.host.emit('exit')
  expect(crashed.screen.isCursorShown).toBe(true)
})

test('colours are written to a terminal, and none with NO_COLOR', () => {
  const colours = newScreen(80)
  showAll(open(colours))
  expect(colours.written).toContain('\u001b[36m')
  const plain = newScreen(80)
  showAll(open(plain, { environment: { NO_COLOR: '1' } }))
  expect(plain.written).not.toMatch(/\[\d+m/)
  expect(plain.lines()).toEqual(colours.lines())
})

test('10,000 events take less than a second of computing', () => {
  const terminal = Object.assign(newPipe(), { isTTY: true, columns: 100 })
  const clock = newClock()
  const view = open(terminal, { clock })
  for (const event of events) view.show(event)
  const begun = process.cpuUsage()
  for (let update = 1; update <= 10_000; update++) {
    clock.ms += 10 // every tenth is drawn
    view.show(updateEnd(update, 10_000))
  }
  expect(process.cpuUsage(begun).user / 1000).toBeLessThan(1000)
})
