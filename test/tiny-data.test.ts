import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeTinyRow, type TinyRow } from '../scripts/tiny-data.ts'

const rows = Array.from({ length: 3000 }, (_, index) => makeTinyRow(3, index))

/** The equations in a text and whether they hold, by evaluating them. */
function equationsOf(text: string): { operands: number[]; result: number; holds: boolean }[] {
  return [...text.matchAll(/(\d+) ([-+*/]) (\d+) = (\d+)/g)].map(([, left, operator, right, result]) => {
    const [a, b, claimed] = [Number(left), Number(right), Number(result)]
    const value = operator === '+' ? a + b : operator === '-' ? a - b : operator === '*' ? a * b : a / b
    return { operands: [a, b], result: claimed, holds: value === claimed }
  })
}

/** What the solution went on with: the human's text, else the chosen completion's. */
function trajectory(row: TinyRow): string[] {
  return row.label.steps.map(
    (step) => step.human_completion?.text ?? step.completions[step.chosen_completion ?? 0].text,
  )
}

test('every rating is true: right steps state one equation that holds, wrong ones one that does not, idle ones none', () => {
  const untrue: string[] = []
  for (const step of rows.flatMap(({ label }) => label.steps)) {
    const humans = step.human_completion ? [{ text: step.human_completion.text, rating: 1 }] : []
    for (const { text, rating } of [...step.completions, ...humans]) {
      const holds = equationsOf(text).map((equation) => equation.holds)
      if (holds.join() !== (rating === 0 ? '' : String(rating === 1))) untrue.push(text)
    }
  }
  expect(untrue).toEqual([])
})

test('each solution has 2 to 5 right steps that use known numbers only and end in the ground truth', () => {
  const lengths = new Set<number>()
  for (const row of rows.slice(0, 600)) {
    const steps = trajectory(row)
    lengths.add(steps.length)
    const known = new Set((row.question.problem.match(/\d+/g) ?? []).map(Number))
    for (const [equation] of steps.map(equationsOf)) {
      expect(equation.holds).toBe(true)
      expect(equation.result).toBeGreaterThan(0)
      for (const operand of equation.operands) expect(known, row.question.problem).toContain(operand)
      known.add(equation.result)
    }
    const answer = row.question.ground_truth_answer
    expect(equationsOf(steps[steps.length - 1])[0].result).toBe(Number(answer))
    expect(steps[steps.length - 1].endsWith(`\n\n# Answer\n\n${answer}`)).toBe(true)
    expect(steps.slice(0, -1).join()).not.toContain('# Answer')
  }
  expect([...lengths].sort()).toEqual([2, 3, 4, 5])
})

test('every step has a wrong sibling of a right one, no text twice, and both kinds of step occur', () => {
  const kinds = new Set<string>()
  for (const step of rows.slice(0, 600).flatMap(({ label }) => label.steps)) {
    const texts = step.completions.map(({ text }) => text)
    expect(new Set(texts).size).toBe(texts.length)
    const ratings = new Set(step.completions.map(({ rating }) => rating))
    expect(ratings.has(-1)).toBe(true)
    expect(ratings.has(1)).toBe(step.human_completion === null)
    if (step.chosen_completion !== null) expect(step.completions[step.chosen_completion].rating).toBe(1)
    kinds.add(step.human_completion === null ? 'sampled' : 'human')
    for (const rating of ratings) kinds.add(String(rating))
  }
  expect([...kinds].sort()).toEqual(['-1', '0', '1', 'human', 'sampled'])
})

test('a row depends on its seed and index only, and seeds differ', () => {
  expect(makeTinyRow(3, 17)).toEqual(rows[17])
  expect(makeTinyRow(4, 17)).not.toEqual(rows[17])
})

test('the script writes the rows of its seed as JSON lines, and refuses a number that is none', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tiny-'))
  const out = join(folder, 'tiny.jsonl')
  const script = join(import.meta.dirname, '../scripts/make-tiny-data.ts')
  const run = (...args: string[]) => execFileSync(process.execPath, ['--import', 'tsx', script, '--out', out, ...args])
  try {
    run('--seed', '3', '--problems', '9')
    const lines = readFileSync(out, 'utf8').trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(rows.slice(0, 9))
    expect(() => run('--problems', 'many')).toThrow('--problems: expected a whole number')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
