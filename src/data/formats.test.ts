import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { detectFormat } from './formats.ts'
import { type LabelledRow, problemOf, type ReadOptions } from './labelled.ts'
import { scoreRow } from './score-row.ts'

const FIXTURES = join(import.meta.dirname, '../../test/fixtures/data')
const options: ReadOptions = { neutral: 'drop', separator: '\n' }
const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })

/** The labelled solution of a row, read in the format its columns show. */
function read(row: unknown, readOptions = options): LabelledRow {
  const reading = detectFormat(row)?.read(row, readOptions)
  if (reading === undefined || !('labelled' in reading)) throw new Error(`not labelled: ${JSON.stringify(reading)}`)
  return reading.labelled
}

function badness(row: unknown): string {
  const reading = detectFormat(row)?.read(row, options)
  return reading !== undefined && 'bad' in reading ? reading.bad : `not bad: ${JSON.stringify(reading)}`
}

function prm800k(steps: unknown, more: object = {}, label: object = {}) {
  return { ...more, question: { problem: '1+1?' }, label: { steps, finish_reason: 'solution', ...label } }
}

const rated = (text: string, rating: number | null, flagged: boolean | null = false) => ({ text, rating, flagged })

test('each format is known by its columns, and rows of other formats are none of ours', () => {
  const rows: [string | undefined, object][] = [
    ['prm800k', prm800k([])],
    ['math-step-dpo', { prompt: 'p', initial_reason_steps: '', chosen: 'a', rejected: 'b' }],
    ['math-step-dpo', { prompt: 'p', prefix: 'x', chosen: 'a', rejected: 'b' }],
    ['pretokenised', { prompt_ids: [1], chosen_ids: [2], rejected_ids: [3] }],
    ['stepwise', { prompt: 'p', completions: [], labels: [] }],
    ['preference', { prompt: 'p', chosen: 'a', rejected: 'b', score_chosen: 1 }],
    ['preference', { chosen: [], rejected: [] }],
    ['prompts', { question: 'q', answer: 'a' }],
    ['prompts', { problem: 'q', level: 'Level 2', solution: 's' }],
    // A table fills the columns a row lacks with null.
    ['prompts', { prompt: 'p', chosen: null, rejected: null }],
    [undefined, { id: 'gsm8k-0', problem: 'p', steps: ['a'], label: 1 }],
    ['unpaired', { prompt: 'p', completion: 'c', label: true }],
    [undefined, { prompt: 'p', completion: 'c', label: 'good' }],
    ['math-aps', { question: 'q', process: 's', label: ['+'] }],
    ['omega-prm', { question: 'q', final_answer: '1', reasoning_steps: { text: 'q', mc_value: 1, children: [] } }],
    [undefined, { question: 'q', process: 's', label: null, steps: [] }],
    ['ultra-interact', { trajectory: [], chosen: 'a', rejected: 'b', id: 'x' }],
    ['axolotl', { messages: [], chosen: {}, rejected: {} }],
    ['preference', { prompt: 'p', messages: [], chosen: [], rejected: [] }],
    ['pretokenised', { prompt_input_ids: [1], chosen_input_ids: [2], rejected_input_ids: [3] }],
    [undefined, { question: 'q', system: 's', chosen: 'The a', rejected: 'The b' }],
    ['llama-factory-sharegpt', { conversations: [], chosen: {}, rejected: {} }],
    ['llama-factory-alpaca', { instruction: 'q', input: '', chosen: 'a', rejected: 'b' }],
    ['ms-swift', { messages: [], rejected_response: 'b' }],
    ['ms-swift', { messages: [], rejected_messages: [] }],
    ['math-shepherd', { input: 'q Step 1: a ки', label: 'q', task: 'GSM8K' }],
    ['rlhflow', { conversations: [user('q Step 1: a'), assistant('-')] }],
    // What TRL reads, with the marks of `data convert`, is no line of pairs.jsonl, which has a prefix.
    ['preference', { prompt: 'p', chosen: 'a', rejected: 'b', chosen_terminal: true, rejected_terminal: false }],
    ['pairs', { prompt: 'p', prefix: '', chosen: 'a', rejected: 'b', chosen_terminal: true, rejected_terminal: false }],
    // A score of a text, a chat, and an alpaca row without a choice.
    [undefined, { input: 'q Step 1: a', label: 'q', task: 'GSM8K' }],
    [
      undefined,
      {
        conversations: [
          { from: 'human', value: 'q' },
          { from: 'gpt', value: '+' },
        ],
      },
    ],
    [undefined, { instruction: 'q', input: '', output: 'a' }],
    [undefined, {}],
  ]
  for (const [name, row] of rows) expect(detectFormat(row)?.name, JSON.stringify(row)).toBe(name)
  for (const value of [null, 1, 'text', [{ prompt: 'p' }]]) expect(detectFormat(value)).toBeUndefined()
})

test('a prm800k row gives the rated completions of each step and goes on with the chosen or the human text', () => {
  const steps = [
    { completions: [rated('a', 1), rated('b', -1)], human_completion: null, chosen_completion: 0 },
    { completions: [rated('c', -1)], human_completion: { text: 'd', rating: null, source: 'human', flagged: false } },
    { completions: null, human_completion: 'e', chosen_completion: null },
    // Both: what the person wrote besides is a draft, often half a sentence.
    { completions: [rated('f', 1)], human_completion: 'g', chosen_completion: 0 },
    { completions: [rated('h', null)], human_completion: null, chosen_completion: null },
  ]
  const { steps: read5, ...rest } = read(prm800k(steps))
  expect(rest).toEqual({ prompt: { messages: [user('1+1?')] }, separator: '\n' })
  const good = (content: string) => ({ content, rating: 1, score: 1, terminal: false })
  const wrong = (content: string) => ({ content, rating: -1, score: 0, terminal: false })
  expect(read5).toEqual([
    { candidates: [good('a'), wrong('b')], next: 'a' },
    { candidates: [wrong('c'), good('d')], next: 'd' },
    { candidates: [good('e')], next: 'e' },
    { candidates: [good('f')], next: 'f' },
    { candidates: [{ dropped: 'unrated' }], next: null },
  ])
})

test('flagged and empty completions are dropped, and rating 0 follows the policy', () => {
  const step = {
    completions: [rated('x', 1, true), rated(' ', 1), rated('n', 0), rated('y', 1, null)],
    human_completion: { text: 'z', flagged: true },
  }
  const candidates = (neutral: ReadOptions['neutral']) =>
    read(prm800k([step]), { ...options, neutral }).steps[0].candidates.map((one) =>
      'dropped' in one ? one.dropped : one.rating,
    )
  expect(candidates('drop')).toEqual(['flagged', 'empty', 'neutral', 1, 'flagged'])
  expect(candidates('negative')).toEqual(['flagged', 'empty', -1, 1, 'flagged'])
  expect(candidates('positive')).toEqual(['flagged', 'empty', 1, 1, 'flagged'])
})

test('a prm800k step is terminal when it carries the answer heading, and only CRLF is changed in its text', () => {
  const texts = ['so 2.\r\n\r\n# Answer\r\n\r\n2', '# Answer\n\n2', ' the # Answer\n\nis near \t', 'x\n# Answer\n\n2']
  const { steps } = read(prm800k([{ completions: texts.map((text) => rated(text, 1)) }]))
  expect(steps[0].candidates).toEqual([
    { content: 'so 2.\n\n# Answer\n\n2', rating: 1, score: 1, terminal: true },
    { content: '# Answer\n\n2', rating: 1, score: 1, terminal: true },
    { content: ' the # Answer\n\nis near \t', rating: 1, score: 1, terminal: false },
    { content: 'x\n# Answer\n\n2', rating: 1, score: 1, terminal: false },
  ])
})

test('quality control, screening and bad problems are dropped with their reason; given up ones are kept', () => {
  const reading = (row: unknown) => detectFormat(row)?.read(row, options)
  expect(reading(prm800k([], { is_quality_control_question: true }))).toEqual({ dropped: 'quality control question' })
  expect(reading(prm800k([], { is_initial_screening_question: true }))).toEqual({
    dropped: 'initial screening question',
  })
  expect(reading(prm800k([], {}, { finish_reason: 'bad_problem' }))).toEqual({ dropped: 'bad problem' })
  expect(reading(prm800k([], {}, { finish_reason: 'give_up' }))).toHaveProperty('labelled')
})

test('what is wrong with a row is said in one line that names the place in it', () => {
  expect(badness(prm800k('x'))).toBe('label.steps: expected a list, found string')
  expect(badness(prm800k([{ completions: [{ text: 'a', rating: 2 }] }]))).toBe(
    'label.steps.0.completions.0.rating: Invalid option: expected one of -1|0|1',
  )
  expect(badness(prm800k([{ completions: [rated('a', 1)], chosen_completion: 1 }]))).toBe(
    'label.steps.0: chosen_completion names no completion',
  )
  expect(badness({ prompt: 'p', completions: ['a'], labels: [true, false] })).toBe(
    'expected one label for each completion',
  )
  expect(badness({ prompt: 'p', completions: ['a'], labels: ['yes'] })).toContain('labels.0')
  expect(badness({ prompt_ids: [1], chosen_ids: [-1], rejected_ids: [2] })).toBe(
    'chosen_ids: expected a list of token ids',
  )
  expect(badness({ prompt: 'p', chosen: '', rejected: 'b' })).toContain('chosen')
  expect(badness(prm800k(Array(1001).fill({})))).toContain('at most 1000')
})

test('a math-step-dpo row has one prefix segment, and a side is terminal only where its whole solution ends with it', () => {
  const row = { prompt: 'p', initial_reason_steps: "Let's think.\nStep 1:", chosen: ' a', rejected: ' b' }
  const steps = (more: object) => read({ ...row, ...more }).steps
  expect(steps({})).toEqual([
    { candidates: [], next: row.initial_reason_steps },
    {
      candidates: [
        { content: ' a', rating: 1, terminal: false },
        { content: ' b', rating: -1, terminal: false },
      ],
      next: null,
    },
  ])
  const terminal = (more: object) => steps(more)[1].candidates.map((one) => 'terminal' in one && one.terminal)
  expect(terminal({ full_chosen: 'x a\n', full_rejected: 'x b\nStep 2: c' })).toEqual([true, false])
  expect(terminal({ full_chosen: 'x a then', full_rejected: 'b' })).toEqual([false, true])
  expect(read({ ...row, initial_reason_steps: '' }).steps).toHaveLength(1)
  expect(read(row).separator).toBe('')
})

test('a stepwise row gives one completion a step, and nothing goes on after a wrong one', () => {
  const row = (labels: unknown[]) => ({ prompt: 'p', completions: ['a', 'b', 'c'], labels })
  const step = (content: string, rating: number, score?: number) => ({
    candidates: [{ content, rating, terminal: content === 'c', ...(score !== undefined && { score }) }],
    next: rating > 0 ? content : null,
  })
  expect(read(row([true, false, true])).steps).toEqual([step('a', 1, 1), step('b', -1, 0), step('c', 1, 1)])
  expect(read(row([0.9, 0.2, 0])).steps).toEqual([step('a', 0.9, 0.9), step('b', 0.2, 0.2), step('c', 0, 0)])
  expect(read(row([1, -0.5, -1])).steps).toEqual([step('a', 1, 1), step('b', -0.5), step('c', -1)])
})

test('preference rows have the prompt and the answers that TRL takes out of them', () => {
  const { cases } = JSON.parse(readFileSync(join(FIXTURES, 'trl-prompts.json'), 'utf8'))
  expect(cases).toHaveLength(10)
  for (const { row, prompt, chosen, rejected } of cases) {
    const isText = typeof prompt === 'string'
    const content = (side: { content: string }[] | string) => (typeof side === 'string' ? side : side[0].content)
    const labelled = read(row)
    expect(labelled.prompt, JSON.stringify(row)).toEqual(isText ? { raw: prompt } : { messages: prompt })
    expect(labelled.steps, JSON.stringify(row)).toEqual([
      {
        candidates: [
          { content: content(chosen), rating: 1, terminal: true },
          { content: content(rejected), rating: -1, terminal: true },
        ],
        next: null,
      },
    ])
    expect(labelled.separator).toBe('')
  }
})

test('preference rows without one prompt and one answer a side are bad', () => {
  const talk = [user('Why?'), assistant('a'), user('And?')]
  expect(badness({ prompt: [user('Why?')], chosen: talk, rejected: talk })).toContain('unsupported')
  expect(badness({ chosen: [user('Why?'), assistant('a')], rejected: [user('Why?'), assistant('a')] })).toContain(
    'unsupported',
  )
  expect(badness({ prompt: [user('Why?')], chosen: [user('a')], rejected: [assistant('b')] })).toContain('unsupported')
  expect(badness({ chosen: [user('a')], rejected: [user('b')] })).toContain('no prompt')
  expect(badness({ chosen: [user('a'), assistant('b')], rejected: [assistant('a'), assistant('c')] })).toContain(
    'no prompt',
  )
  expect(badness({ chosen: 'yes', rejected: 'no' })).toContain('no prompt')
  expect(badness({ chosen: 'the same', rejected: 'the same and more' })).toContain('no answer')
  expect(badness({ prompt: [user('Why?')], chosen: 'a', rejected: 'b' })).toContain('all as messages')
  expect(badness({ prompt: 'p', chosen: 'a', rejected: [assistant('b')] })).toContain('all as messages')
  expect(badness({ prompt: 'p', chosen: 'a', rejected: 'b', tools: [{}] })).toContain('tools')
})

test('the system message does not make two prompts two problems', () => {
  const row = (system: string) => ({
    prompt: [{ role: 'system', content: system }, user('Why?')],
    chosen: [assistant('a')],
    rejected: [assistant('b')],
  })
  expect(problemOf(read(row('x')).prompt)).toBe(problemOf(read(row('y')).prompt))
  expect(read(row('x')).prompt).not.toEqual(read(row('y')).prompt)
})

test('pre-tokenised rows keep their ids, are never terminal, and share a problem exactly when they share a prompt', () => {
  const row = (prompt_ids: number[]) => read({ prompt_ids, chosen_ids: [5, 6], rejected_ids: [7] })
  expect(row([1, 2])).toMatchObject({ prompt: { raw: [1, 2] }, separator: '' })
  expect(row([1, 2]).steps[0].candidates).toEqual([
    { content: [5, 6], rating: 1, terminal: false },
    { content: [7], rating: -1, terminal: false },
  ])
  const problem = (ids: number[]) => problemOf(row(ids).prompt)
  expect(problem([1, 2])).toBe(problem([1, 2]))
  expect(problem([1, 2])).not.toBe(problem([12]))
})

test('rows to be scored give their completions, the chosen side first, without any label', () => {
  expect(scoreRow({ ids: [1, 2, 3] })).toEqual([{ prompt: null, completion: [1, 2, 3] }])
  expect(scoreRow({ prompt: 'p', completion: 'c' })).toEqual([{ prompt: { raw: 'p' }, completion: 'c' }])
  expect(scoreRow({ prompt: [user('p')], completion: 'c', label: true })).toEqual([
    { prompt: { messages: [user('p')] }, completion: 'c' },
  ])
  expect(scoreRow({ prompt: 'p', chosen: 'a', rejected: 'b' })).toEqual([
    { prompt: { raw: 'p' }, completion: 'a' },
    { prompt: { raw: 'p' }, completion: 'b' },
  ])
  expect(scoreRow({ prompt_ids: [1], chosen_ids: [2], rejected_ids: [3] })).toEqual([
    { prompt: { raw: [1] }, completion: [2] },
    { prompt: { raw: [1] }, completion: [3] },
  ])
  for (const value of [null, 'text', {}, { ids: [] }, { ids: [1.5] }, { prompt: 'p' }]) {
    expect(scoreRow(value), JSON.stringify(value)).toHaveProperty('bad')
  }
})

test('keys named like members of Object.prototype change nothing', () => {
  const row = JSON.parse(
    '{"__proto__":{"chosen":"x"},"constructor":{"prototype":{"x":1}},"prompt":"p","chosen":"a","rejected":"b"}',
  )
  expect(read(row).steps).toEqual(read({ prompt: 'p', chosen: 'a', rejected: 'b' }).steps)
  expect(detectFormat(JSON.parse('{"__proto__":{"prompt":"p","chosen":"a","rejected":"b"}}'))).toBeUndefined()
  expect(Object.hasOwn(Object.prototype, 'x')).toBe(false)
})
