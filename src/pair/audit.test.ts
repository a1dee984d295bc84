import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeTinyRow } from '../../scripts/tiny-data.ts'
import { auditData } from './audit.ts'
import { type LoadedData, loadGroups } from './groups.ts'

async function load(rows: readonly unknown[]): Promise<LoadedData> {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'))
  try {
    const path = join(folder, 'data.jsonl')
    writeFileSync(path, rows.map((row) => JSON.stringify(row) + '\n').join(''))
    return await loadGroups(path, { neutral: 'drop', separator: '\n', strict: false })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const END = '\n\n# Answer\n\n2'

test('an audit counts members, ratings, depths, lengths and terminal sides as worked out by hand', async () => {
  const completion = (text: string, rating: number) => ({ text, rating })
  const steps = [
    // One pair of steps that do not end: an end-of-turn token on either would be wrong.
    { completions: [completion('aaaa', 1), completion('bb', -1)], chosen_completion: 0 },
    // Twice the same right end, against one wrong end and one wrong step: 2 × 2 pairs, 2 of them ended rightly.
    {
      completions: [completion(`c${END}`, 1), completion(`c${END}`, 1), completion(`d${END}`, -1), completion('e', -1)],
      chosen_completion: 0,
    },
  ]
  const audit = auditData(await load([{ question: { problem: 'p' }, label: { steps } }]))
  expect(audit).toMatchObject({ format: 'prm800k', problems: 1, groups: 2, tokens: null })
  expect(audit.membersPerGroup).toEqual({ min: 2, median: 2, p95: 3, max: 3 })
  expect([...audit.ratings]).toEqual([
    [-1, 3],
    [1, 3],
  ])
  expect(audit.prefixSteps).toEqual({ min: 0, median: 0, p95: 1, max: 1 })
  expect(audit.lengths.prefix).toEqual({ min: 0, median: 0, p95: 4, max: 4 })
  // Lengths 1, 2, 4 and twice 1 + 13.
  expect(audit.lengths.member).toEqual({ min: 1, median: 4, p95: 14, max: 14 })
  expect(audit.pairs.all).toEqual({
    pairs: 5,
    chosenTerminal: 4,
    rejectedTerminal: 2,
    neitherTerminal: 1,
    stoppedEarly: 3,
  })
  expect(audit.pairs.first).toEqual({
    pairs: 2,
    chosenTerminal: 1,
    rejectedTerminal: 1,
    neitherTerminal: 1,
    stoppedEarly: 1,
  })
})

test('whole answers are terminal on both sides: nothing stops early', async () => {
  const audit = auditData(await load([{ prompt: 'p', chosen: 'a', rejected: 'b' }]))
  expect(audit.pairs.all).toMatchObject({ pairs: 1, chosenTerminal: 1, rejectedTerminal: 1, stoppedEarly: 0 })
})

test('token lengths are what the given counter says of each segment', async () => {
  const data = await load(Array.from({ length: 20 }, (_, index) => makeTinyRow(1, index)))
  const words = (segment: string | readonly number[]) => String(segment).split(' ').length
  const audit = auditData(data, words)
  const expected = data.groups.flatMap(({ members }) => members.map(({ content }) => words(content)))
  expected.sort((a, b) => a - b)
  // Nearest rank: the smallest value that at least that share of all values does not exceed.
  const atLeast = (share: number) =>
    expected.find((value) => expected.filter((other) => other <= value).length >= share * expected.length)
  expect(audit.tokens?.member).toEqual({
    min: expected[0],
    median: atLeast(0.5),
    p95: atLeast(0.95),
    max: expected[expected.length - 1],
  })
})
