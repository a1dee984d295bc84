import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { UserError } from '../base/errors.ts'
import type { Group, Prompt } from '../data/records.ts'
import { loadGroups } from './groups.ts'
import { findLeaks, normaliseProblem } from './leak.ts'

const folder = mkdtempSync(join(tmpdir(), 'leak-'))
afterAll(() => rmSync(folder, { recursive: true }))

let fileCount = 0
function file(rows: readonly unknown[]): string {
  fileCount++
  const path = join(folder, `${fileCount}.jsonl`)
  writeFileSync(path, rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row)) + '\n').join(''))
  return path
}

function group(problem: string, prompt: Prompt = { raw: problem }): Group {
  return { problem, prompt, prefix: [], separator: '', members: [], place: { file: 'f' } }
}

test('spellings that differ in case, white space, Unicode form or LaTeX spacing are one problem', () => {
  const same = ['Find $x\\,y$ for n = 10².', 'find  x y for\nn=102.', 'FIND x\\!y$ for n\u00a0= 10\u{1d7d0}.']
  expect(new Set(same.map(normaliseProblem)).size).toBe(1)
  expect(normaliseProblem('x + 1')).not.toBe(normaliseProblem('x - 1'))
  expect(normaliseProblem('\\frac{1}{2}')).not.toBe(normaliseProblem('\\frac{12}'))
})

test('leaks are found in rows of any format, each problem once, and unreadable rows are counted', async () => {
  const groups = [group('1 + 1?'), group('2 + 2?'), group('3 + 3?'), group('4 + 4?'), group('9 + 9?'), group('1 + 1?')]
  const path = file([
    { question: '1+1?', answer: '2' },
    { question: '5+5?', answer: '10' },
    { problem: '1+1?', steps: ['a'], label: -1 },
    { question: { problem: '2+2?' }, label: { steps: [] } },
    { prompt: [{ role: 'user', content: '3 + 3?' }], chosen: 'x' },
    { chosen: '4 + 4? 8', rejected: '4 + 4? 9' },
    'nope',
    { other: 1 },
  ])
  const report = await findLeaks(groups, path)
  expect(report.problems).toBe(5)
  expect(report.rows).toEqual({ read: 8, unread: 2 })
  expect(report.leaks).toEqual([
    { problem: '1 + 1?', place: { file: path, line: 1 } },
    { problem: '2 + 2?', place: { file: path, line: 4 } },
    { problem: '3 + 3?', place: { file: path, line: 5 } },
    { problem: '4 + 4?', place: { file: path, line: 6 } },
  ])
})

test('a file that asks nothing, or prompts that are token ids, cannot be compared', async () => {
  await expect(findLeaks([group('a')], file([{ x: 1 }]))).rejects.toThrow(UserError)
  await expect(findLeaks([group('a', { raw: [1] })], file([{ problem: 'a' }]))).rejects.toThrow('token ids')
})

const SHARED = join(import.meta.dirname, '../../../shared/data')

test.skipIf(!existsSync(SHARED))(
  'MATH-500 holds all problems of PRM800K phase 1 test and none of its train',
  async () => {
    const options = { neutral: 'drop', separator: '\n', strict: false } as const
    const math500 = join(SHARED, 'math500/test.jsonl')
    const test81 = await loadGroups(join(SHARED, 'prm800k/phase1_test.jsonl'), options)
    expect((await findLeaks(test81.groups, math500)).leaks).toHaveLength(81)
    const train = await loadGroups(join(SHARED, 'prm800k/phase1_train.jsonl'), options)
    expect(await findLeaks(train.groups, math500)).toMatchObject({ problems: 671, leaks: [] })
  },
)
