import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { JudgeReading, JudgeRow } from './judge-row.ts'
import { detectJudgeFormat, readJudgeRow, readJudgeRows } from './judge-rows.ts'

const SHARED = join(import.meta.dirname, '../../../shared/data')
const folder = mkdtempSync(join(tmpdir(), 'judge-rows-'))
afterAll(() => rmSync(folder, { recursive: true }))

function row(value: unknown): JudgeRow {
  const reading = readJudgeRow(value, 'auto')
  if (!('row' in reading)) throw new Error(JSON.stringify(reading))
  return reading.row
}

function bad(value: unknown): string {
  const reading = readJudgeRow(value, 'auto')
  if (!('bad' in reading)) throw new Error(JSON.stringify(reading))
  return reading.bad
}

const asked = { role: 'user', content: '1 + 1?' }
const answered = { role: 'assistant', content: 'One and one.\nThat is 2.' }
const solution = { problem: '1 + 1?', steps: ['One and one.', 'That is 2.'] }

test('one solution is the same solution with the same id in every format that can hold it', () => {
  const { problem, steps } = solution
  const formats: [string, unknown][] = [
    ['solution', { prompt: problem, completion: answered.content }],
    ['solution', { prompt: [asked], completion: [answered] }],
    ['solution', { prompt: [{ role: 'system', content: 'Be brief.' }, asked], completion: answered.content }],
    ['solution', { question: problem, steps, completion: 'not this' }],
    ['solution', { prompt: problem, completions: steps, labels: [true, true] }],
    ['chat', { messages: [asked, answered] }],
    ['chat', { messages: [asked, { role: 'assistant', content: [{ type: 'text', text: answered.content }] }] }],
    ['processbench', { problem, steps, label: -1, id: 'x' }],
    ['prmbench', { modified_question: problem, modified_process: steps, error_steps: [] }],
    ['mr-gsm8k', { question: problem, model_output_steps: steps, model_output_solution_first_error_step: 'N/A' }],
    ['bigbench-mistake', { input: problem, steps, mistake_index: null }],
    ['prm800k', { question: { problem }, label: { steps: steps.map((text) => ({ human_completion: { text } })) } }],
  ]
  const ids = new Set<string>()
  for (const [format, value] of formats) {
    expect(detectJudgeFormat(value).name).toBe(format)
    const found = row(value)
    expect(found.solution, format).toEqual(solution)
    ids.add(found.id)
  }
  expect(ids.size).toBe(1)
})

test('the id is of problem, steps and reference: it changes with each, and where a step ends', () => {
  const texts = [
    { problem: 'p', steps: ['a', 'b'] },
    { problem: 'p', steps: ['b', 'a'] },
    { problem: 'p', steps: ['ab'] },
    { problem: 'pa', steps: ['b'] },
    { problem: 'p', steps: ['a', 'b'], reference: 'r' },
  ]
  expect(new Set(texts.map((value) => row(value).id)).size).toBe(texts.length)
  expect(row({ ...texts[0], label: 1 }).id).toBe(row(texts[0]).id)
})

describe('the first wrong step counts from 0 whatever the format counts from', () => {
  const steps = ['a', 'b', 'c']
  test.each<[string, unknown]>([
    ['ProcessBench from 0', { problem: 'p', steps, label: 1 }],
    ['PRMBench from 1', { modified_question: 'p', modified_process: steps, error_steps: [3, 2] }],
    ['MR-GSM8K from 1', { question: 'p', model_output_steps: steps, model_output_solution_first_error_step: 2 }],
    ['BIG-Bench-Mistake from 0', { input: 'p', steps, mistake_index: 1 }],
    ['a list of labels', { prompt: 'p', completions: steps, labels: [true, false, true] }],
    ['numbers', { prompt: 'p', steps, labels: [0.3, 0, 1] }],
  ])('%s', (_, value) => {
    expect(row(value).label).toBe(1)
  })

  test('and is not known before a label that is missing', () => {
    expect(row({ prompt: 'p', steps, labels: [true, null, false] }).label).toBeNull()
    expect(row({ prompt: 'p', steps, labels: [false, null, null] }).label).toBe(0)
    expect(row({ prompt: 'p', steps }).label).toBeNull()
    expect(row({ problem: 'p', steps, label: null }).label).toBeNull()
  })

  test('and is a step of the solution', () => {
    expect(bad({ problem: 'p', steps, label: 3 })).toMatch(/names step 4 of a solution of 3/)
    expect(bad({ input: 'p', steps, mistake_index: 3 })).toMatch(/step 4/)
    expect(bad({ modified_question: 'p', modified_process: steps, error_steps: [1, 4] })).toMatch(/step 4/)
    expect(bad({ problem: 'p', steps, label: -2 })).toMatch(/label/)
    expect(bad({ modified_question: 'p', modified_process: steps, error_steps: [0] })).toMatch(/error_steps/)
  })
})

test('what is known beside the first error is kept: every label, the final answer, the class, the reference', () => {
  const prmBench = row({
    modified_question: 'p',
    modified_process: ['a', 'b', 'c'],
    error_steps: [1, 3],
    classification: 'confidence',
  })
  expect(prmBench.labels).toEqual(['incorrect', 'correct', 'incorrect'])
  expect(prmBench.category).toBe('confidence')
  expect(row({ problem: 'p', steps: ['a'], label: -1, final_answer_correct: false })).toMatchObject({
    finalCorrect: false,
    labels: null,
    category: null,
  })
  const mrGsm8k = { question: 'p', model_output_steps: ['a'], model_output_solution_first_error_step: 1 }
  expect(row({ ...mrGsm8k, model_output_answer_correctness: 'wrong' }).finalCorrect).toBe(false)
  expect(row({ prompt: 'p', steps: ['a'], reference: 'r' }).solution.reference).toBe('r')
})

test('an MR-GSM8K solution that is called wrong without an error step has no label to go by', () => {
  const value = { question: 'p', model_output_steps: ['a'], model_output_solution_first_error_step: 'N/A' }
  expect(row({ ...value, model_output_solution_correctness: 'correct' }).label).toBe(-1)
  expect(bad({ ...value, model_output_solution_correctness: 'wrong' })).toMatch(/found N\/A/)
})

describe('PRM800K', () => {
  const completion = (text: string, rating: number | null) => ({ text, rating, flagged: false })
  const of = (steps: unknown[], finish = 'solution', before?: string[]) => ({
    question: { problem: 'p', pre_generated_steps: before },
    label: { steps, finish_reason: finish },
  })

  test('the solution is what was chosen or written, and 0 is neither right nor wrong', () => {
    const found = row(
      of(
        [
          { completions: [completion('no', -1), completion('a', 0)], chosen_completion: 1 },
          { completions: [completion('no', -1)], human_completion: { text: 'b' }, chosen_completion: null },
          { completions: null, human_completion: 'c' },
          { completions: [completion('d', 1)], human_completion: { text: 'a draft' }, chosen_completion: 0 },
          { completions: [completion('no', null)], human_completion: null, chosen_completion: null },
        ],
        'give_up',
      ),
    )
    expect(found.solution.steps).toEqual(['a', 'b', 'c', 'd'])
    expect(found.labels).toEqual(['neutral', 'correct', 'correct', 'correct'])
    expect(found.label).toBe(-1)
  })

  test('of a solution that was rated until its first error, the rest stands there without labels', () => {
    const steps = [
      { completions: [completion('a', 1)], chosen_completion: 0 },
      { completions: [completion('b', -1), completion('better', 1)], chosen_completion: null },
    ]
    const found = row(of(steps, 'found_error', ['a', 'b', 'c', 'd']))
    expect(found.solution.steps).toEqual(['a', 'b', 'c', 'd'])
    expect(found.labels).toEqual(['correct', 'incorrect', null, null])
    expect(found.label).toBe(1)
  })

  test('questions for quality control, bad problems and solutions that nobody began are left out, with the reason', () => {
    const reading = readJudgeRow({ ...of([]), is_quality_control_question: true }, 'auto')
    expect(reading).toEqual({ dropped: 'quality control question' })
    expect(readJudgeRow(of([], 'bad_problem'), 'auto')).toEqual({ dropped: 'bad problem' })
    expect(readJudgeRow(of([{ completions: [completion('a', null)] }], 'give_up'), 'auto')).toEqual({
      dropped: 'no step was chosen',
    })
  })
})

describe('a chat log', () => {
  test('is judged at its last assistant message, and what stands before is the problem, who said what', () => {
    const found = row({
      messages: [
        { role: 'system', content: 'Be brief.' },
        asked,
        { role: 'assistant', content: null },
        { role: 'tool', content: '2' },
        answered,
        { role: 'user', content: 'Thanks' },
      ],
    })
    expect(found.solution.problem).toBe('user: 1 + 1?\n\nassistant: \n\ntool: 2')
    expect(found.solution.steps).toEqual(solution.steps)
  })

  test('has its problem in the system message where nobody else speaks', () => {
    expect(row({ messages: [{ role: 'system', content: 'p' }, answered] }).solution.problem).toBe('p')
  })

  test('without an assistant, without a problem, or with an image cannot be judged', () => {
    expect(bad({ messages: [asked] })).toMatch(/assistant, found none/)
    expect(bad({ messages: [answered] })).toMatch(/problem before the assistant/)
    expect(bad({ messages: [{ role: 'user', content: [{ type: 'image_url' }] }, answered] })).toMatch(/all text/)
  })
})

test('empty steps are kept, since labels count them, but a blank solution is none', () => {
  expect(row({ problem: 'p', steps: ['', 'b'], label: 1 }).solution.steps).toEqual(['', 'b'])
  for (const value of [
    { problem: 'p', steps: [], label: -1 },
    { problem: 'p', steps: ['', ' '], label: -1 },
    { prompt: 'p', completion: ' \n' },
    { messages: [asked, { role: 'assistant', content: '' }] },
  ]) {
    expect(bad(value)).toMatch(/no step/)
  }
})

test('a solution of more steps than anybody writes is refused, not paid for', () => {
  expect(bad({ prompt: 'p', completion: 'a\n'.repeat(1001) })).toMatch(/at most 1000 steps, found 1001/)
  expect(bad({ prompt: 'p', steps: Array(1001).fill('a') })).toMatch(/at most 1000/)
})

test('a row that is none of these says what was expected and what it has', () => {
  expect(bad({ foo: 1, bar: 2 })).toMatch(/columns messages, or one of prompt.*found foo, bar/)
  expect(bad({ prompt: 'p' })).toMatch(/found prompt/)
  expect(bad({ prompt: 'p', steps: ['a'], labels: [] })).toMatch(/one label for each of 1 steps, found 0/)
  for (const value of [null, 3, 'text', [], [1], { messages: 3 }, { problem: 'p', steps: [3], label: 0 }]) {
    expect(bad(value).length).toBeGreaterThan(5)
  }
})

test('whatever the row holds, it is read, left out or refused, never thrown', () => {
  const names = ['prompt', 'problem', 'question', 'steps', 'completion', 'messages', 'label', 'labels', 'input']
  const value = fc.oneof(fc.jsonValue(), fc.array(fc.string()), fc.record({ steps: fc.jsonValue() }))
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value), (columns) => {
      const reading = readJudgeRow(columns, 'auto')
      expect('row' in reading || 'dropped' in reading || 'bad' in reading).toBe(true)
    }),
    { numRuns: 500 },
  )
})

async function readAll(path: string): Promise<({ readonly line: number } & JudgeReading)[]> {
  const readings: ({ readonly line: number } & JudgeReading)[] = []
  for await (const reading of readJudgeRows(path, 'auto')) readings.push(reading)
  return readings
}

test('rows of a file come with their lines, bad ones with what is wrong', async () => {
  const path = join(folder, 'rows.jsonl')
  writeFileSync(path, '{"prompt":"p","completion":"a"}\n\n{"prompt":\n{"problem":"p","steps":["a"],"label":7}\n')
  const readings = await readAll(path)
  expect(readings.map((reading) => [reading.line, 'row' in reading])).toEqual([
    [1, true],
    [3, false],
    [4, false],
  ])
  expect(readings[1]).toHaveProperty('bad', expect.stringContaining('not JSON'))
})

// Counted with Python's json module. One PRMBench row names step 24 of 23.
test.skipIf(!existsSync(SHARED)).each([
  ['processbench/gsm8k.json', 400, 193, 0],
  ['processbench/math.json', 1000, 406, 0],
  ['prmbench/prm800k_test_p2_4o_confidence.jsonl', 266, 0, 1],
])('all of %s is read, with as many solutions without an error as there are', async (name, rows, clean, bads) => {
  const readings = await readAll(join(SHARED, name))
  const found = readings.flatMap((reading) => ('row' in reading ? [reading.row] : []))
  expect(found).toHaveLength(rows)
  expect(found.filter(({ label }) => label === -1)).toHaveLength(clean)
  expect(readings.filter((reading) => 'bad' in reading)).toHaveLength(bads)
})

test.skipIf(!existsSync(SHARED))('PRM800K solutions are read whole', async () => {
  const readings = await readAll(join(SHARED, 'prm800k/official_samples.jsonl'))
  const found = readings.flatMap((reading) => ('row' in reading ? [reading.row] : []))
  expect(readings.some((reading) => 'bad' in reading)).toBe(false)
  // The one row that ends with found_error was wrong at its 7th step of 13.
  expect(
    found.filter(({ label }) => label !== -1).map(({ label, solution: { steps } }) => [label, steps.length]),
  ).toEqual([[6, 13]])
})
