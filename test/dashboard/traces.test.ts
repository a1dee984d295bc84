import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { solutionId } from '../../src/data/labels.ts'
import { copyDashboard } from '../../src/server/copy.ts'
import { openLive } from '../../src/server/live.ts'
import { openRuns } from '../../src/server/runs.ts'
import { openSite } from '../../src/server/site.ts'
import { listTraces } from '../../src/server/trace-view.ts'
import { linesOf, makeRuns, openClient, rolloutOf, rolloutsOf } from './runs.ts'

const site = await makeRuns(4)
const client = await openClient(site)
const runs = openRuns(site.runs, { who: 'ada', now: () => new Date() })
const [run] = runs.list()
const base = `/api/runs/${run.id}`
const json = async (path: string) => JSON.parse((await client.get(base + path)).text)

afterAll(async () => {
  await client.dashboard.close()
  rmSync(site.folder, { recursive: true })
})

test('filters let through what the files say, counted by hand', async () => {
  // 4 problems, each with a right solution, one wrong in step 1 and one wrong in step 2; the last step is no equation.
  expect(await json('/traces?limit=2')).toMatchObject({
    found: 12,
    total: 12,
    isWhole: true,
    items: [{ verdicts: 'cca' }, { verdicts: 'ica' }],
  })
  expect((await json('/traces?answer=right')).found).toBe(4)
  expect((await json('/traces?verdict=i')).found).toBe(8)
  expect((await json('/traces?verdict=i&q=10%20%2B%203')).found).toBe(2)
  expect((await json('/traces?min_score=0.9')).found).toBe(4)
  expect((await json('/traces?labelled=true')).found).toBe(0)
  const sorted = await json('/traces?sort=first_error&order=down')
  expect(sorted.items.map((row: { firstError: number }) => row.firstError)).toEqual([
    1, 1, 1, 1, 0, 0, 0, 0, -1, -1, -1, -1,
  ])
  for (const wrong of ['limit=201', 'limit=-1', 'offset=x', 'verdict=z', 'sort=hash', 'min_score=NaN', 'differs=1']) {
    expect((await client.get(`${base}/traces?${wrong}`)).status).toBe(400)
  }
})

test('a trace has its text, the reasons of the judge, its siblings and its pairs', async () => {
  const { items } = await json('/traces?q=10%20%2B%203%20%3D%2015')
  const trace = await json(`/traces/${items[0].id}`)
  expect(trace).toMatchObject({
    steps: ['10 + 3 = 15.', '15 + 1 = 16.', 'The answer is 16.'],
    answer: '14',
    finalAnswer: '16',
    isRight: false,
    judgements: [
      { score: 0, aggregation: 'product', steps: [{ state: 'scored', score: 0, label: 'incorrect' }, {}, {}] },
    ],
  })
  expect(trace.siblings).toHaveLength(2)
  const pairs = (await json('/pairs')).items.map(({ pair }: { pair: { id: string } }) => pair.id)
  expect(pairs).toContain(trace.pairs[0])
})

test('the tree of a problem shares the steps that its solutions share', async () => {
  const { items } = await json('/problems?q=what%20is%2010%20')
  expect(items).toMatchObject([{ traces: 3, right: 1, wrong: 2 }])
  const { nodes, answer } = await json(`/problems/${items[0].id}`)
  expect(answer).toBe('14')
  // Two begin with 10 + 3 = 13, and one of them is right; the other begins with 15: 3 + 3 + 2 steps, 1 shared.
  expect(nodes).toHaveLength(8)
  expect(nodes[0]).toMatchObject({ parent: -1, text: '10 + 3 = 13.', traces: 2, right: 1, wrong: 1, ends: 0 })
  expect(nodes[0].chosenIn).toHaveLength(1)
  expect(nodes.filter(({ parent }: { parent: number }) => parent === 0)).toHaveLength(2)
})

test('a step of the tree has what training did to it, as score --implicit has written it', async () => {
  const { items } = await json('/problems?q=what%20is%2010%20')
  const path = `/problems/${items[0].id}`
  expect((await json(path)).nodes[0].change).toBeNull()
  const [{ problem, steps }] = rolloutsOf(1)
  const written = steps.map((text, at) => ({ text, policy: -1 - at, reference: -2, reward: 1 - at, cumulative: 1 }))
  const file = join(run.path, 'round-1', 'step-rewards.jsonl')
  const row = { line: 1, id: solutionId(problem, steps), beta: 1, steps: written }
  writeFileSync(file, linesOf([{ line: 2, error: 'no steps' }, row]))
  const { nodes } = await json(path)
  expect(nodes[0].change).toEqual({ policy: -1, reference: -2 })
  expect(nodes.filter(({ change }: { change: unknown }) => change !== null)).toHaveLength(steps.length)
  rmSync(file)
})

test('what is added to a file is found, a line that is cut when it is whole, and a new file in place of the old', async () => {
  const folder = join(site.runs, 'growing')
  mkdirSync(folder)
  const file = join(folder, 'rollouts.jsonl')
  const all = rolloutsOf(3)
  writeFileSync(file, linesOf(all.slice(0, 4)))
  const growing = openRuns(folder, { who: 'ada', now: () => new Date() }).list()[0]
  const found = async (): Promise<number> => (await listTraces(growing, {})).found
  expect(await found()).toBe(4)
  const next = linesOf(all.slice(4, 6))
  appendFileSync(file, next.slice(0, -10))
  expect(await found()).toBe(5)
  appendFileSync(file, next.slice(-10))
  expect(await found()).toBe(6)
  appendFileSync(file, 'no JSON\n{"id":1}\n')
  appendFileSync(file, linesOf(all.slice(6, 7)))
  expect(await found()).toBe(7)
  writeFileSync(`${file}.new`, linesOf([rolloutOf('Fresh?', ['Yes.'], 0, 1)]))
  renameSync(`${file}.new`, file)
  const again = await listTraces(growing, {})
  expect(again.items).toMatchObject([{ begin: 'Fresh?' }])
  expect((await listTraces(growing, { q: 'What is' })).found).toBe(0)
})

const event = (update: number): string =>
  linesOf([{ time: '2026-01-01T00:00:00Z', type: 'warning', message: `m${update}` }])

/** Frames as a listener gets them, until there are as many. */
async function readFrames(stream: ReadableStream<Uint8Array>, count: number): Promise<string[]> {
  const reader = stream.getReader()
  let text = ''
  while (text.split('\n\n').length - 1 < count) {
    const { value, done } = await reader.read()
    if (done) break
    text += Buffer.from(value).toString()
  }
  await reader.cancel()
  return text.split('\n\n').slice(0, -1)
}

function unexpected(): void {
  throw new Error('a listener who reads was dropped')
}

const idOf = (frame: string): string => /^id: (.+)$/m.exec(frame)?.[1] ?? ''
const messagesOf = (frames: readonly string[]): string[] =>
  frames.flatMap((frame) => /"message":"(\w+)"/.exec(frame)?.[1] ?? [])

test('a listener that comes back with its last id gets what it missed, each event once', async () => {
  const log = join(site.run, 'stepdpo', 'events.jsonl')
  mkdirSync(join(site.run, 'stepdpo'))
  writeFileSync(log, event(1) + event(2))
  const live = openLive()
  const listen = (from?: string): ReadableStream<Uint8Array> => {
    const stream = live.listen(run, from, unexpected)
    if (stream === undefined) throw new Error('refused')
    return stream
  }
  const first = await readFrames(listen('start'), 3)
  expect(messagesOf(first)).toEqual(['m1', 'm2'])
  appendFileSync(log, event(3) + event(4))
  const second = await readFrames(listen(idOf(first[0])), 4)
  expect(messagesOf(second)).toEqual(['m2', 'm3', 'm4'])
  const fromEnd = listen(idOf(second[2]))
  appendFileSync(log, event(5))
  expect(messagesOf(await readFrames(fromEnd, 2))).toEqual(['m5'])
  writeFileSync(`${log}.new`, event(6))
  renameSync(`${log}.new`, log)
  expect((await readFrames(listen(idOf(second[2])), 1))[0]).toContain('event: reset')
  live.close()
})

test('a listener that does not read is dropped when 1 MiB waits, and others go on', async () => {
  const log = join(site.run, 'stepdpo', 'events.jsonl')
  writeFileSync(log, event(1))
  const live = openLive()
  let isDropped = false
  const lazy = live.listen(run, undefined, () => {
    isDropped = true
  })
  const long = linesOf([{ time: '2026-01-01T00:00:00Z', type: 'warning', message: 'x'.repeat(100_000) }])
  for (let at = 0; at < 12; at++) appendFileSync(log, long)
  await new Promise((resolve) => setTimeout(resolve, 1700)) // four looks, half a MiB each
  appendFileSync(log, event(7))
  const other = live.listen(run, undefined, unexpected)
  if (lazy === undefined || other === undefined) throw new Error('refused')
  expect(isDropped).toBe(true)
  const waiting = (await readFrames(lazy, 100)).join('')
  expect(waiting.length).toBeLessThanOrEqual(1 << 20)
  expect(waiting).not.toContain('m7')
  expect((await readFrames(other, 1))[0]).toContain('event: changed')
  const more = Array.from({ length: 300 }, () => live.listen(run, undefined, unexpected))
  expect(more.filter((stream) => stream !== undefined)).toHaveLength(256) // the two above have gone
  live.close()
})

test('a copy holds every reply that its pages ask for, and is not written over something else', async () => {
  const folder = join(site.folder, 'copy')
  const session = { who: 'ada', version: '1', folder: 'runs', isStatic: true }
  const pages = openSite(join(site.folder, 'ui'))
  await copyDashboard(folder, openRuns(site.runs, { who: 'ada', now: () => new Date() }), session, pages)
  expect(readFileSync(join(folder, 'index.html'), 'utf8')).toContain('<html data-static lang="en">')
  const script = readFileSync(join(folder, 'data', `${run.id}.js`), 'utf8')
  const entries = JSON.parse(/^stepdpoStatic\((.*)\)\n$/s.exec(script)?.[1] ?? '')
  for (const path of ['', '/series', '/pairs', '/labels', '/judges', '/evaluations', '/problems']) {
    expect(entries[base + path]).toEqual(await json(path))
  }
  const { items } = await json('/traces')
  expect(entries[`${base}/traces`].items).toEqual(items)
  for (const { id, problem } of items) {
    expect(entries[`${base}/traces/${id}`]).toEqual(await json(`/traces/${id}`))
    expect(entries[`${base}/problems/${problem}`]).toEqual(await json(`/problems/${problem}`))
  }
  await expect(copyDashboard(site.run, runs, session, pages)).rejects.toThrow('found other files')
})
