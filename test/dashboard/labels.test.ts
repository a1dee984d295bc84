import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readLabelLines, standingLabels } from '../../src/data/labels.ts'
import { readPrm800k } from '../../src/data/prm800k.ts'
import { loadGroups } from '../../src/pair/groups.ts'
import { exportLabels } from '../../src/server/labels-export.ts'
import { makeRuns, openClient, pairRuns } from './runs.ts'

const site = await makeRuns(3)
const client = await openClient(site)
const [{ id: run }] = JSON.parse((await client.get('/api/runs')).text).runs
const path = `/api/runs/${run}/labels`
const pairsFile = join(site.run, 'round-1', 'pairs.jsonl')

afterAll(async () => {
  await client.dashboard.close()
  rmSync(site.folder, { recursive: true })
})

const readPairs = () =>
  readFileSync(pairsFile, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

const said = { flagged: false, badProblem: false, ownStep: null, judgeShown: false }

async function traceOf(text: string): Promise<string> {
  const { items } = JSON.parse((await client.get(`/api/runs/${run}/traces?q=${encodeURIComponent(text)}`)).text)
  return items[0].id
}

test('a person who calls a wrong step right and a right one wrong turns the pairs that are made of them', async () => {
  const before = readPairs()
  // The first step of the second solution of 10 + 3: 10 + 3 = 15, which the judge calls wrong.
  const made = before.find(({ rejected }) => rejected.startsWith('10 + 3 = 15'))
  expect(made).toMatchObject({ step: 0, chosen: '10 + 3 = 13.\n' })
  const trace = await traceOf('10 + 3 = 15')
  const outcome = JSON.parse((await client.post(path, { ...said, trace, ratings: [1, -1, null] })).text)
  // The judge says incorrect, correct.
  expect(outcome).toMatchObject({ compared: 2, same: 0, labelled: 1, label: { who: 'ada', ratings: [1, -1, null] } })
  const { items } = JSON.parse((await client.get(`/api/runs/${run}/pairs?contradicted=true`)).text)
  expect(items.map((item: { pair: { id: string } }) => item.pair.id)).toEqual([made.id])
  await pairRuns(site)
  const after = readPairs()
  expect(after.some(({ id }) => id === made.id)).toBe(false)
  const others = (pairs: readonly { prompt: string }[]) => pairs.filter(({ prompt }) => !prompt.includes('What is 10 '))
  expect(others(after)).toEqual(others(before))
  await client.post(`${path}/undo`, {})
  await pairRuns(site)
  expect(readPairs()).toEqual(before)
})

test('a pair that is taken out is not trained on, also after pairs are made again, until it is taken back in', async () => {
  const options = { neutral: 'drop', separator: '\n', strict: true } as const
  const countPairs = async (): Promise<number> => (await loadGroups(pairsFile, options)).counts.rows.used
  const all = await countPairs()
  const [{ id }] = readPairs()
  const dropped = JSON.parse((await client.post(`/api/runs/${run}/pairs/${id}`, { action: 'drop' })).text)
  expect(dropped.dropped).toMatchObject({ who: 'ada' })
  expect(await countPairs()).toBe(all - 1)
  await pairRuns(site)
  expect(await countPairs()).toBe(readPairs().length - 1)
  await client.post(`/api/runs/${run}/pairs/${id}`, { action: 'restore' })
  expect(await countPairs()).toBe(readPairs().length)
})

test('solutions of a problem that a person calls bad make no pair, and labels can be left unread', async () => {
  const before = readPairs()
  const trace = await traceOf('11 + 4 = 17')
  await client.post(path, { ...said, trace, ratings: [null, null, null], badProblem: true })
  await pairRuns(site)
  expect(readPairs()).toEqual(before.filter(({ prompt }) => !prompt.includes('What is 11 ')))
  await pairRuns(site, { use_human_labels: false })
  expect(readPairs()).toEqual(before)
  await client.post(`${path}/undo`, {})
})

test('each decision is a line with who, when and what it takes the place of; undo goes back one', async () => {
  const trace = await traceOf('11 + 4 = 17')
  const first = JSON.parse((await client.post(path, { ...said, trace, ratings: [-1, null, null] })).text)
  const second = JSON.parse((await client.post(path, { ...said, trace, ratings: [0, 1, 1], flagged: true })).text)
  const lines = await readLabelLines(join(site.run, 'labels.jsonl'))
  expect(lines.at(-1)).toMatchObject({
    kind: 'label',
    who: 'ada',
    previous: first.label.id,
    run: 'first',
    ratings: [0, 1, 1],
  })
  expect(JSON.parse((await client.post(`${path}/undo`, {})).text).undone.label.id).toBe(second.label.id)
  const shown = JSON.parse((await client.get(`/api/runs/${run}/traces/${trace}`)).text)
  expect(shown).toMatchObject({ labels: 'i--', label: { id: first.label.id } })
  expect(JSON.parse((await client.post(`${path}/undo`, {})).text).undone.label.id).toBe(first.label.id)
  expect(await readLabelLines(join(site.run, 'labels.jsonl'))).toHaveLength(lines.length + 2)
})

test('labelling comes to every solution once, goes on after a restart, and passes over what was skipped', async () => {
  const seen = new Set<string>()
  for (;;) {
    const task = JSON.parse((await client.get(`${path}/next?order=suspicious`)).text)
    if (task.done) break
    expect(task).not.toHaveProperty('judgements')
    expect(seen.has(task.trace)).toBe(false)
    seen.add(task.trace)
    if (seen.size === 3) await client.post(`${path}/skip`, { trace: task.trace })
    else await client.post(path, { ...said, trace: task.trace, ratings: task.steps.map(() => 1) })
  }
  const again = await openClient(site)
  const counts = JSON.parse((await again.get(`${path}/next`)).text)
  expect(counts).toEqual({ done: true, labelled: 8, skipped: 1, open: 0, ratedSteps: 24 })
  await again.dashboard.close()
})

test('ratings with a gap, too many, none, and steps of one’s own out of place are refused', async () => {
  const trace = await traceOf('12 + 5 = 17')
  const wrong = [
    { ratings: [null, 1, null] },
    { ratings: [1, 1] },
    { ratings: [1, 1, 1, 1] },
    { ratings: [null, null, null] },
    { ratings: [1, null, null], ownStep: { step: 2, text: 'x' } },
    { ratings: [1, null, null], ownStep: { step: 1, text: '' } },
    { ratings: [0.5, null, null] },
  ]
  for (const one of wrong) expect((await client.post(path, { ...said, trace, ...one })).status).toBe(400)
  expect((await client.post(path, { ...said, trace: 'unknown', ratings: [1] })).status).toBe(404)
})

test('what is exported as PRM800K is read back with the same ratings, a step of one’s own among them', async () => {
  const trace = await traceOf('12 + 5 = 17')
  const own = { step: 1, text: '17 + 1 is 18.' }
  await client.post(path, { ...said, trace, ratings: [1, -1, null], ownStep: own })
  const file = join(site.folder, 'prm800k.jsonl')
  const { written } = await exportLabels(site.runs, 'prm800k', file)
  const { labels } = standingLabels(await readLabelLines(join(site.run, 'labels.jsonl')))
  expect(written).toBe(labels.size)
  const rows = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  for (const [at, label] of [...labels.values()].entries()) {
    const reading = readPrm800k(rows[at], { neutral: 'drop', separator: '\n' })
    if (!('labelled' in reading)) throw new Error(JSON.stringify(reading))
    const rated = reading.labelled.steps.map(({ candidates }) =>
      candidates.flatMap((one) => ('rating' in one ? [[one.content, one.rating]] : [])),
    )
    const expected = label.ratings.flatMap((rating, step) => (rating === null ? [] : [[[label.steps[step], rating]]]))
    if (label.own_step !== null) expected[label.own_step.step].push([label.own_step.text, 1])
    expect(rated).toEqual(expected)
  }
  const groups = await loadGroups(file, { neutral: 'drop', separator: '\n', strict: true, wanted: 'members' })
  expect(groups.format).toBe('prm800k')
})

test('TRL’s rows leave out what the labeller was not sure of', async () => {
  const trace = await traceOf('12 + 5 = 17')
  await client.post(path, { ...said, trace, ratings: [1, -1, null], flagged: true })
  const file = join(site.folder, 'trl.jsonl')
  const { written, leftOut } = await exportLabels(site.runs, 'trl', file)
  expect([written, leftOut]).toEqual([7, 1])
  const { format, groups } = await loadGroups(file, {
    neutral: 'drop',
    separator: '\n',
    strict: true,
    wanted: 'members',
  })
  expect(format).toBe('stepwise')
  expect(groups.flatMap(({ members }) => members.map(({ rating }) => rating))).not.toContain(-1)
})

test('agreement is of labels that were given without seeing the judge, with the counts of each', async () => {
  const { judges } = JSON.parse((await client.get(`/api/runs/${run}/judges`)).text)
  const [{ judge, agreement, confusion }] = judges
  expect(judge).toMatch(/^arithmetic/)
  const sum = confusion.flat().reduce((total: number, count: number) => total + count, 0)
  const agreed = confusion[0][0] + confusion[1][1] + confusion[2][2]
  expect(sum).toBe(agreement.steps)
  expect(agreement.same.value).toBeCloseTo(agreed / sum, 12)
  // One more label that disagrees on everything, but was given with the judge in sight: nothing changes.
  const trace = await traceOf('10 + 3 = 15')
  await client.post(path, { ...said, trace, ratings: [0, 0, 0], judgeShown: true })
  const after = JSON.parse((await client.get(`/api/runs/${run}/judges`)).text).judges[0]
  expect(after.confusion[1]).toEqual([0, 0, 0])
})

test('a line that was cut is passed over, and the next label stands behind it', async () => {
  const file = join(site.run, 'labels.jsonl')
  const before = (await readLabelLines(file)).length
  appendFileSync(file, '{"kind":"label","id":"cut')
  const trace = await traceOf('11 + 4 = 15')
  expect((await client.post(path, { ...said, trace, ratings: [1, null, null] })).status).toBe(200)
  expect(await readLabelLines(file)).toHaveLength(before + 1)
})
