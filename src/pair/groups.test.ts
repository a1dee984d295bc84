import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { InputError, UserError } from '../base/errors.ts'
import type { Group } from '../data/records.ts'
import { type LoadOptions, loadGroups } from './groups.ts'
import { groupPairs } from './pairs.ts'

const ROOT = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'groups-'))
afterAll(() => rmSync(folder, { recursive: true }))

const defaults: LoadOptions = { neutral: 'drop', separator: '\n', strict: false }

let fileCount = 0
function load(rows: readonly unknown[], options: Partial<LoadOptions> = {}) {
  fileCount++
  const path = join(folder, `${fileCount}.jsonl`)
  writeFileSync(path, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row)) + '\n').join(''))
  return loadGroups(path, { ...defaults, ...options })
}

interface Step {
  completions: { text: string; rating: number | null; flagged?: boolean | null }[] | null
  human_completion?: string | null
  chosen_completion?: number | null
}

function row(problem: string, steps: Step[], more: object = {}) {
  return { question: { problem }, label: { steps, finish_reason: 'solution' }, ...more }
}

/** `'+a -b 0c ?d'` as rated completions; the first is chosen. */
function step(rated: string): Step {
  const ratings: { [sign: string]: number | null } = { '+': 1, '-': -1, '0': 0, '?': null }
  const completions = rated.split(' ').map((one) => ({ text: one.slice(1), rating: ratings[one[0]] }))
  return { completions, chosen_completion: 0 }
}

const members = (group: Group) => group.members.map(({ content, rating, count }) => `${rating}${content}×${count}`)
const reasons = (tallies: ReadonlyMap<string, { count: number }>) =>
  Object.fromEntries([...tallies].map(([reason, { count }]) => [reason, count]))
const sum = (tallies: ReadonlyMap<string, { count: number }>) =>
  [...tallies.values()].reduce((total, { count }) => total + count, 0)
const labelledPairs = (groups: readonly Group[]) =>
  groups.flatMap((group) => groupPairs(group, 'all')).reduce((total, { weight }) => total + weight, 0)

test('siblings stand after the chosen steps, and only prefixes with a better and a worse one become groups', async () => {
  const { format, groups, counts } = await load([row('p', [step('+a -b'), step('+c'), step('+d -e -f')])])
  expect(format).toBe('prm800k')
  expect(groups.map((group) => [group.prefix, members(group)])).toEqual([
    [[], ['1a×1', '-1b×1']],
    [
      ['a', 'c'],
      ['1d×1', '-1e×1', '-1f×1'],
    ],
  ])
  expect(groups[1]).toMatchObject({ problem: 'p', separator: '\n', place: { line: 1 } })
  expect(groups[1].prompt).toEqual({ messages: [{ role: 'user', content: 'p' }] })
  expect(reasons(counts.members.dropped)).toEqual({ 'no better or worse sibling': 1 })
})

test('rows on one problem meet where their prefixes are equal, and equal texts there are one member that counts', async () => {
  const { groups } = await load([
    row('p', [step('+a -b'), step('+c')]),
    row('q', [step('+a -z')]),
    row('p', [step('+a -b -x'), step('+c -y')]),
    row('p', [step('+b -a2')]), // another first step: its siblings meet those above, its next steps would not
  ])
  expect(groups.map((group) => [group.problem, group.prefix.join(), group.place.line])).toEqual([
    ['p', '', 1],
    ['p', 'a', 1],
    ['q', '', 2],
  ])
  expect(members(groups[0])).toEqual(['1a×2', '-1x×1', '-1a2×1'])
  expect(members(groups[1])).toEqual(['1c×2', '-1y×1'])
  expect(labelledPairs(groups)).toBe(2 * 1 + 2 * 1 + 2 * 1 + 1)
})

test('a text rated both good and bad after one prefix is dropped there with all its copies, and nowhere else', async () => {
  const { groups, counts } = await load([
    row('p', [step('+a -b +c'), step('+b -d')]),
    row('p', [step('+a +b'), step('+e')]),
  ])
  expect(groups.map(members)).toEqual([['1b×1', '-1d×1', '1e×1']])
  expect(reasons(counts.members.dropped)).toEqual({ 'rated differently': 2, 'no better or worse sibling': 3 })
  expect(counts.members).toMatchObject({ read: 8, used: 3 })
})

test('what follows a step that the solution did not go on from, or a wrong one, has no right prefix', async () => {
  const open = { ...step('+a -b'), chosen_completion: null }
  const { groups, counts } = await load([row('p', [open, step('+c -d')])])
  expect(groups.map(members)).toEqual([['1a×1', '-1b×1']])
  expect(reasons(counts.members.dropped)).toEqual({ 'no right prefix': 2 })
  const stepwise = await load([
    { prompt: 'p', completions: ['a', 'b', 'c'], labels: [false, true, true] },
    { prompt: 'p', completions: ['x', 'b'], labels: [true, false] },
  ])
  expect(stepwise.groups.map(members)).toEqual([['-1a×1', '1x×1']])
  expect(reasons(stepwise.counts.members.dropped)).toEqual({ 'no right prefix': 2, 'no better or worse sibling': 1 })
})

test('a reason names the first three lines it was found on, each once', async () => {
  const unrated = row('p', [step('+a -b ?c ?d')])
  const { counts } = await load([unrated, '', unrated, unrated, unrated])
  expect(counts.members.dropped.get('unrated')?.count).toBe(8)
  expect(counts.members.dropped.get('unrated')?.places.map(({ line }) => line)).toEqual([1, 3, 4])
})

test('neutral completions are dropped, wrong or right as asked, and contradict under their new rating', async () => {
  const rows = [row('p', [step('+a 0b -c 0a')])]
  expect((await load(rows)).groups.map(members)).toEqual([['1a×1', '-1c×1']])
  expect((await load(rows, { neutral: 'positive' })).groups.map(members)).toEqual([['1a×2', '1b×1', '-1c×1']])
  await expect(load(rows, { neutral: 'negative' })).rejects.toThrow('2 dropped (rated differently)')
})

test('every way to drop a row or a completion is counted, and the counts add up', async () => {
  const flagged = { completions: [{ text: 'f', rating: 1, flagged: true }, ...(step('+a -b ?u').completions ?? [])] }
  const { counts, groups } = await load([
    row('p', [flagged]),
    row('p', [step('+a')], { is_quality_control_question: true }),
    row('p', [step('+a')], { is_initial_screening_question: true }),
    { question: { problem: 'p' }, label: { steps: [step('+a')], finish_reason: 'bad_problem' } },
    { question: { problem: 'g' }, label: { steps: [step('+a -b'), step('-c')], finish_reason: 'give_up' } },
    '{"question":',
    '[1]',
    row('p', [step('+a')], { question: { problem: 5 } }),
  ])
  expect(groups).toHaveLength(2)
  expect(counts.rows).toMatchObject({ read: 8, used: 2, bad: 3 })
  expect(reasons(counts.rows.dropped)).toEqual({
    'quality control question': 1,
    'initial screening question': 1,
    'bad problem': 1,
  })
  expect(counts.badRows.map(({ place, reason }) => [place.line, reason.slice(0, 20)])).toEqual([
    [6, 'not JSON: Unexpected'],
    [7, 'expected an object'],
    [8, 'question.problem: In'],
  ])
  expect(counts.members).toMatchObject({ read: 7, used: 4 })
  expect(reasons(counts.members.dropped)).toEqual({ flagged: 1, unrated: 1, 'no better or worse sibling': 1 })
  expect(counts.members.dropped.get('flagged')?.places.map(({ line }) => line)).toEqual([1])
})

test('the groups are the same after CRLF line ends inside the texts', async () => {
  const rows = [row('p\nq', [step('+a\nb -c'), step('+d -e')])]
  const crlf = JSON.stringify(rows[0]).replaceAll('\\n', '\\r\\n')
  const [lf, cr] = [await load(rows), await load([crlf])]
  const withoutPlace = (groups: readonly Group[]) => groups.map(({ place: _, ...group }) => group)
  expect(withoutPlace(cr.groups)).toEqual(withoutPlace(lf.groups))
})

test('stepwise rows of one prompt form a tree; a step that some row goes on after is not terminal', async () => {
  const stepwise = (completions: string[], labels: unknown[]) => ({ prompt: 'p', completions, labels })
  const { groups } = await load(
    [
      stepwise(['a', 'b'], [true, true]),
      stepwise(['a', 'x'], [true, false]),
      stepwise(['a', 'b', 'c'], [true, true, true]),
      stepwise(['a', 'b', 'y'], [true, true, false]),
    ],
    { separator: '\n\n' },
  )
  expect(groups.map(({ prefix, members: rated, separator }) => ({ prefix, rated, separator }))).toEqual([
    {
      prefix: ['a'],
      rated: [
        { content: 'b', rating: 1, score: 1, terminal: false, count: 3 },
        { content: 'x', rating: -1, score: 0, terminal: true, count: 1 },
      ],
      separator: '\n\n',
    },
    {
      prefix: ['a', 'b'],
      rated: [
        { content: 'c', rating: 1, score: 1, terminal: true, count: 1 },
        { content: 'y', rating: -1, score: 0, terminal: true, count: 1 },
      ],
      separator: '\n\n',
    },
  ])
})

test('members are kept where all are rated alike, once preferences are not all that is wanted', async () => {
  const rows = [row('p', [step('+a +b'), step('-c ?u')])]
  await expect(load(rows)).rejects.toThrow('no pair can be made')
  const { groups, counts } = await load(rows, { wanted: 'members' })
  expect(groups.map(members)).toEqual([['1a×1', '1b×1'], ['-1c×1']])
  expect(counts.members).toMatchObject({ read: 4, used: 3 })
  expect(reasons(counts.members.dropped)).toEqual({ unrated: 1 })
  const contradicted = [row('p', [step('+a -b')]), row('p', [step('-a')])]
  expect((await load(contradicted, { wanted: 'members' })).groups.map(members)).toEqual([['-1b×1']])
  await expect(load([row('p', [step('?a')])], { wanted: 'members' })).rejects.toThrow(
    'It needs a completion with a rating',
  )
})

test('unpaired rows of one prompt are siblings; a system message makes another prompt of it, but not another problem', async () => {
  const rows = [
    { prompt: 'p', completion: 'a', label: true },
    { prompt: 'q', completion: 'a', label: true },
    { prompt: 'p', completion: 'b', label: false },
    { prompt: 'p', completion: 'a', label: true },
  ]
  expect((await load(rows)).groups.map(members)).toEqual([['1a×2', '-1b×1']])
  expect((await load(rows, { wanted: 'members' })).groups.map(members)).toEqual([['1a×2', '-1b×1'], ['1a×1']])
  expect((await load(rows, { wanted: 'demonstrations' })).groups.map(members)).toEqual([['1a×2'], ['1a×1']])
  const asked = (system: string, label: boolean) => ({
    prompt: [
      { role: 'system', content: system },
      { role: 'user', content: 'p' },
    ],
    completion: [{ role: 'assistant', content: system + label }],
    label,
  })
  const { groups } = await load(['x', 'y'].flatMap((system) => [asked(system, true), asked(system, false)]))
  expect(groups.map(({ problem }) => problem)).toEqual(['p', 'p'])
  expect(groups.map(({ prompt }) => 'messages' in prompt && prompt.messages[0].content)).toEqual(['x', 'y'])
})

test('rows that are pairs already stay one group a row, in file order, even where they are equal', async () => {
  const rows = [
    { prompt_ids: [1], chosen_ids: [2], rejected_ids: [3] },
    { prompt_ids: [1], chosen_ids: [4], rejected_ids: [5] },
    { prompt_ids: [1], chosen_ids: [2], rejected_ids: [3] },
    { prompt_ids: [1], chosen_ids: [6], rejected_ids: [6] },
  ]
  const { groups, counts } = await load(rows)
  expect(groups.map((group) => group.members.map(({ content }) => content))).toEqual([
    [[2], [3]],
    [[4], [5]],
    [[2], [3]],
  ])
  expect(reasons(counts.members.dropped)).toEqual({ 'rated differently': 2 })
  const text = { prompt: 'p', chosen: 'a', rejected: 'b' }
  expect((await load([text, text])).groups).toHaveLength(2)
  const steps = { ...text, initial_reason_steps: 'Step 1:' }
  expect((await load([steps, steps])).groups.map(({ prefix }) => prefix)).toEqual([['Step 1:'], ['Step 1:']])
})

test('the format is that of the first row that has one, and rows without it are bad', async () => {
  const { format, counts } = await load([
    'nope',
    { x: 1 },
    { prompt: 'p', chosen: 'a', rejected: 'b' },
    row('p', [step('+a -b')]),
  ])
  expect(format).toBe('preference')
  expect(counts.badRows.map(({ place }) => place.line)).toEqual([1, 2, 4])
  expect(counts.badRows[1].reason).toBe('no known format has its columns: x')
})

test('only the first 20 bad rows are kept but all are counted', async () => {
  const { counts } = await load([{ prompt: 'p', chosen: 'a', rejected: 'b' }, ...Array(50).fill({ prompt: 'p' })])
  expect(counts.rows.bad).toBe(50)
  expect(counts.badRows).toHaveLength(20)
})

test('strict makes the first bad row an error with its place', async () => {
  const rows = [{ prompt: 'p', chosen: 'a', rejected: 'b' }, { prompt: 'p', chosen: 'a' }, 'nope']
  const error = await load(rows, { strict: true }).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(InputError)
  expect(error).toMatchObject({ place: { line: 2 }, expected: 'a preference row' })
})

test('data without a pair, without labels, without rows or of no known format is a user error that says so', async () => {
  const refused: [unknown[], string][] = [
    [[row('p', [step('+a +b'), step('-c')])], 'no pair can be made'],
    [[{ problem: 'p', answer: '1' }], 'unlabelled'],
    [[''], 'found none'],
    [Array(30).fill({ x: 1 }), 'no known format has its columns: x'],
    [['nope'], 'not JSON'],
  ]
  for (const [rows, message] of refused) {
    const error = await load(rows).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(UserError)
    expect(String(error)).toContain(message)
  }
  await expect(loadGroups('someone/data', defaults)).rejects.toThrow('Hub')
})

test('progress is told once a row', async () => {
  const seen: number[] = []
  await load([row('p', [step('+a -b')]), 'nope', ''], { onProgress: (rowCount) => seen.push(rowCount) })
  expect(seen).toEqual([1, 2])
})

test('on random data the counts add up and no two groups have the same problem and prefix', async () => {
  const letter = fc.constantFrom('a', 'b', 'c')
  const completion = fc.record({
    text: fc.constantFrom('a', 'b', 'c', ' '),
    rating: fc.constantFrom(-1, 0, 1, null),
    flagged: fc.constantFrom(false, false, false, true, null),
  })
  const randomStep = fc.record({
    completions: fc.option(fc.array(completion, { minLength: 1, maxLength: 4 })),
    human_completion: fc.option(letter, { freq: 4 }),
    chosen_completion: fc.constantFrom(0, 0, 0, null),
  })
  const randomRow = fc
    .record({ problem: letter, steps: fc.array(randomStep, { maxLength: 4 }), qc: fc.constantFrom(false, false, true) })
    .map(({ problem, steps, qc }) => row(problem, steps, { is_quality_control_question: qc }))
  const data = fc.array(fc.oneof({ weight: 9, arbitrary: randomRow }, fc.constant('nope')), { maxLength: 12 })
  let loaded = 0
  await fc.assert(
    fc.asyncProperty(data, fc.constantFrom('drop', 'negative', 'positive'), async (rows, neutral) => {
      // One row that always makes a group, so that most runs get past the empty case.
      const { groups, counts } = await load([row('sure', [step('+a -b')]), ...rows], { neutral })
      loaded++
      expect(counts.rows.read).toBe(rows.length + 1)
      expect(counts.rows.used + counts.rows.bad + sum(counts.rows.dropped)).toBe(counts.rows.read)
      const used = groups.flatMap((group) => group.members).reduce((total, { count }) => total + count, 0)
      expect(counts.members.used).toBe(used)
      expect(used + sum(counts.members.dropped)).toBe(counts.members.read)
      const names = groups.map(({ problem, prefix }) => JSON.stringify([problem, prefix]))
      expect(new Set(names).size).toBe(names.length)
      for (const group of groups) expect(groupPairs(group, 'all').length).toBeGreaterThan(0)
    }),
    { numRuns: 100 },
  )
  expect(loaded).toBeGreaterThanOrEqual(100)
})

const PRM800K = join(ROOT, '../shared/data/prm800k')

describe.skipIf(!existsSync(PRM800K))('on PRM800K', () => {
  interface Site {
    problem: string
    good: string[]
    bad: string[]
  }

  /** Prefixes with a right and a wrong completion, and their pairs, counted in the plainest way. */
  function countPlainly(
    name: string,
    { dropContradictions, keepsDrafts }: { readonly dropContradictions: boolean; readonly keepsDrafts: boolean },
  ) {
    const sites = new Map<string, Site>()
    for (const line of readFileSync(join(PRM800K, name), 'utf8').trimEnd().split('\n')) {
      const { question, label } = JSON.parse(line)
      const prefix: string[] = []
      for (const { completions, human_completion: human, chosen_completion: chosen } of label.steps) {
        const key = JSON.stringify([question.problem, prefix])
        const site: Site = sites.get(key) ?? { problem: question.problem, good: [], bad: [] }
        sites.set(key, site)
        for (const { text, rating } of completions ?? []) {
          if (rating === 1) site.good.push(text)
          if (rating === -1) site.bad.push(text)
        }
        const written = keepsDrafts || chosen === null ? human : null
        if (written) site.good.push(written.text)
        if (!written && chosen === null) break
        prefix.push(written ? written.text : completions[chosen].text)
      }
    }
    const counted = { groups: 0, pairs: 0, problems: new Set<string>() }
    for (const { problem, good, bad } of sites.values()) {
      const clear = (texts: string[], others: string[]) =>
        dropContradictions ? texts.filter((text) => !others.includes(text)) : texts
      const pairs = clear(good, bad).length * clear(bad, good).length
      counted.pairs += pairs
      if (pairs > 0) counted.groups++
      if (pairs > 0) counted.problems.add(problem)
    }
    return { ...counted, problems: counted.problems.size }
  }

  async function countLoaded(name: string, options: Partial<LoadOptions> = {}) {
    const { groups } = await loadGroups(join(PRM800K, name), { ...defaults, ...options })
    const problems = new Set(groups.map(({ problem }) => problem)).size
    return { groups: groups.length, pairs: labelledPairs(groups), problems }
  }

  test('the official samples give 26 pairs, and 36 with neutral steps as wrong ones', async () => {
    expect(await countLoaded('official_samples.jsonl')).toEqual({ groups: 4, pairs: 26, problems: 4 })
    expect((await countLoaded('official_samples.jsonl', { neutral: 'negative' })).pairs).toBe(36)
  })

  test('phase 1 gives the groups and pairs of a plain count, which with contradictions and drafts are 4,152 and 31,910', async () => {
    const everything = { dropContradictions: false, keepsDrafts: true }
    expect(countPlainly('phase1_train.jsonl', everything)).toEqual({ groups: 4152, pairs: 31_910, problems: 671 })
    const ours = { dropContradictions: true, keepsDrafts: false }
    expect(await countLoaded('phase1_train.jsonl')).toEqual(countPlainly('phase1_train.jsonl', ours))
    expect(await countLoaded('phase1_train.jsonl')).toEqual({ groups: 4148, pairs: 31_816, problems: 671 })
    expect(await countLoaded('phase1_test.jsonl')).toEqual(countPlainly('phase1_test.jsonl', ours))
    expect(await countLoaded('phase1_test.jsonl')).toEqual({ groups: 414, pairs: 3214, problems: 81 })
  })
})
