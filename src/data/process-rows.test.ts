import fc from 'fast-check'
import { expect, test } from 'vitest'
import { detectFormat } from './formats.ts'
import type { LabelledRow, Reading } from './labelled.ts'

const options = { neutral: 'drop', separator: '\n' } as const
const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })

function reading(row: unknown): Reading | undefined {
  return detectFormat(row)?.read(row, options)
}

function read(row: unknown): LabelledRow {
  const made = reading(row)
  if (made === undefined || !('labelled' in made)) throw new Error(`not labelled: ${JSON.stringify(made)}`)
  return made.labelled
}

function badness(row: unknown): string {
  const made = reading(row)
  return made !== undefined && 'bad' in made ? made.bad : `not bad: ${JSON.stringify(made)}`
}

const right = (content: string, terminal = false) => ({
  candidates: [{ content, rating: 1, score: 1, terminal }],
  next: content,
})
const wrong = (content: string, terminal = false) => ({
  candidates: [{ content, rating: -1, score: 0, terminal }],
  next: null,
})

// The shapes of preprocess/tests/samples_math-aps* in openr, with shorter texts.
test('a math-aps row has a sign behind each step, and ends a solution only where it states an answer', () => {
  const row = (process: string, label: string[]) => ({ question: '1+1?', process, label })
  const mark = '\n\n\n\n\n'
  expect(read(row(`one ${mark} two ${mark}`, ['+', '-']))).toEqual({
    prompt: { messages: [user('1+1?')] },
    separator: '\n',
    steps: [right('one'), wrong('two')],
  })
  expect(read(row(`one${mark}so \\boxed{2}`, ['+', '+'])).steps).toEqual([right('one'), right('so \\boxed{2}', true)])
  expect(read(row(`1+1?\n\n\nfirst\n\nthen ${mark}`, ['+'])).steps).toEqual([right('first\n\nthen')])
  expect(reading(row(`1+1? ${mark}`, ['+']))).toEqual({ dropped: 'a question without steps' })
  expect(badness(row(`one ${mark} two ${mark}`, ['+']))).toBe('label: expected one sign for each of 2 steps, found 1')
  expect(badness(row(`one ${mark} ${mark} two`, ['+', '+', '-']))).toBe('process: step 2 is empty')
  expect(badness(row('one', ['?']))).toContain('label.0')
  expect(badness(row(`x${mark}`.repeat(100_000), ['+']))).toContain('at most 1000 steps')
})

const node = (text: string, mc_value: number | null, children: object[] = []) => ({ text, mc_value, children })

test('the children of an omega-prm node are siblings, right where more than half of its rollouts are, and not below a dead end', () => {
  const tree = node('1+1?', 0.5, [
    node('a ', 0.75, [node('so \\boxed{2}', 1), node('b', 0.5), node('', 1), node('c', null)]),
    node('d', 0, [node('e', 1)]),
    node('the answer is 3', 0),
  ])
  const made = reading({ question: '1+1?', final_answer: '2', reasoning_steps: tree })
  if (made === undefined || !('labelled' in made)) throw new Error('not labelled')
  expect(made.labelled.prompt).toEqual({ messages: [user('1+1?')] })
  expect(made.labelled.steps).toEqual([
    {
      candidates: [
        { content: 'a', rating: 1, score: 0.75, terminal: false },
        { content: 'd', rating: -1, score: 0, terminal: false },
        { content: 'the answer is 3', rating: -1, score: 0, terminal: true },
      ],
      next: null,
    },
  ])
  expect(made.more?.map(({ steps }) => steps)).toEqual([
    [
      { candidates: [], next: 'a' },
      {
        candidates: [
          { content: 'so \\boxed{2}', rating: 1, score: 1, terminal: true },
          { content: 'b', rating: -1, score: 0.5, terminal: false },
          { dropped: 'empty' },
          { dropped: 'unrated' },
        ],
        next: null,
      },
    ],
  ])
  expect(reading({ question: 'q', reasoning_steps: node('q', 1) })).toEqual({ dropped: 'a question without steps' })
  expect(badness({ question: 'q', reasoning_steps: node('q', 1, [node('a', 2)]) })).toContain('mc_value')
})

test('an omega-prm tree that is deeper or wider than any search makes is refused in time', () => {
  let deep = node('leaf', 1)
  for (let depth = 0; depth < 3000; depth++) deep = node('x', 1, [deep])
  expect(badness({ question: 'q', reasoning_steps: deep })).toContain('200 deep')
  const wide = node('q', 1, Array(10_001).fill(0))
  expect(badness({ question: 'q', reasoning_steps: wide })).toContain('a list of at most')
})

test('an ultra-interact row has two whole turns of the assistant after what was said before', () => {
  const row = {
    ...{ task: 'Math_CoT', dataset: 'MATH', id: 'x_1_2', parent_id: 'y' },
    trajectory: [
      { from: 'user', value: 'solve' },
      { from: 'assistant', value: 'Step 1: a' },
      { from: 'user', value: 'Observation: no' },
    ],
    ...{ chosen: 'Step 1: b', rejected: 'Step 1: c' },
  }
  expect(read(row)).toEqual({
    prompt: { messages: [user('solve'), assistant('Step 1: a'), user('Observation: no')] },
    separator: '',
    steps: [
      {
        candidates: [
          { content: 'Step 1: b', rating: 1, terminal: true },
          { content: 'Step 1: c', rating: -1, terminal: true },
        ],
        next: null,
      },
    ],
  })
  expect(badness({ ...row, trajectory: [] })).toContain('no prompt')
  expect(badness({ ...row, trajectory: [{ from: 'tool', value: 'x' }] })).toContain('unsupported')
  expect(badness({ ...row, rejected: '' })).toContain('rejected')
})

test('an unpaired row is one completion, desirable or not, of text or after messages', () => {
  const candidate = (rating: number, terminal = true) => ({
    candidates: [{ content: 'c', rating, terminal }],
    next: null,
  })
  expect(read({ prompt: 'p', completion: 'c', label: true })).toEqual({
    prompt: { raw: 'p' },
    separator: '',
    steps: [candidate(1)],
  })
  const begun = { prompt: [user('p'), assistant('so ')], completion: [assistant('c')], label: false }
  expect(read({ ...begun, completion_terminal: false })).toEqual({
    prompt: { messages: [user('p')] },
    separator: '',
    steps: [{ candidates: [], next: 'so ' }, candidate(-1, false)],
  })
  expect(badness({ prompt: 'p', completion: [assistant('c')], label: true })).toContain('both as messages')
  expect(badness({ prompt: 'p', completion: 'c', label: true, tools: [{}] })).toContain('tools')
})

test('an axolotl row has a conversation and one message a side', () => {
  const row = { messages: [user('p')], chosen: assistant('a'), rejected: assistant('b') }
  expect(read(row).steps[0].candidates).toEqual([
    { content: 'a', rating: 1, terminal: true },
    { content: 'b', rating: -1, terminal: true },
  ])
  expect(badness({ ...row, chosen: user('a') })).toContain('one assistant message')
  expect(badness({ ...row, rejected: { role: 'assistant' } })).toContain('rejected.content')
})

test('a token counts its mask times its weight, and lists of other lengths or of negative weights are bad', () => {
  const row = { prompt_ids: [1], chosen_ids: [2, 3], rejected_ids: [4] }
  const weights = (more: object) =>
    read({ ...row, ...more }).steps[0].candidates.map((one) => 'content' in one && one.tokenWeights)
  expect(weights({})).toEqual([undefined, undefined])
  expect(weights({ chosen_mask: [0, 1] })).toEqual([[0, 1], undefined])
  expect(weights({ chosen_mask: [false, true], chosen_weights: [3, 0.5], rejected_weights: [2] })).toEqual([
    [0, 0.5],
    [2],
  ])
  expect(badness({ ...row, chosen_mask: [1] })).toBe('chosen_mask: expected one for each of 2 tokens, found 1')
  expect(badness({ ...row, rejected_weights: [1, 1] })).toBe(
    'rejected_weights: expected one for each of 1 tokens, found 2',
  )
  expect(badness({ ...row, chosen_weights: [1, -1] })).toContain('not negative')
  expect(badness({ ...row, chosen_weights: [1, null] })).toContain('not negative')
  expect(badness({ ...row, chosen_mask: [1, 2] })).toContain('0 and 1')
  const dropped = { dropped: 'a side whose tokens all weigh nothing' }
  expect(reading({ ...row, rejected_weights: [0] })).toEqual(dropped)
  expect(reading({ ...row, chosen_mask: [0, 1], chosen_weights: [1, 0] })).toEqual(dropped)
})

test("token ids may have TRL's older names and say what ends; rows that repeat the prompt are refused", () => {
  const row = { prompt_input_ids: [1], chosen_input_ids: [2, 3], rejected_input_ids: [4], chosen_terminal: true }
  expect(read(row)).toEqual({
    prompt: { raw: [1] },
    separator: '',
    steps: [
      {
        candidates: [
          { content: [2, 3], rating: 1, terminal: true },
          { content: [4], rating: -1, terminal: false },
        ],
        next: null,
      },
    ],
  })
  expect(badness({ ...row, chosen_labels: [-100, 2] })).toContain('repeat the prompt')
})

test('a side of math-step-dpo begins its whole solution where that is there, whatever white space joins it', () => {
  const row = {
    prompt: 'p',
    initial_reason_steps: "Let's think step by step.\nStep 1: a\nStep 2:",
    chosen: ' b',
    rejected: ' c',
  }
  const side = (more: object) => read({ ...row, ...more }).steps[1].candidates[0]
  const step = (content: string) => ({ content, score: null, weight: null })
  const full = "Let's think step by step.\n\nStep 1: a\nStep 2: b\nStep 3: d\ne\nStep 4: The answer is 2.\n"
  expect(side({ full_chosen: full })).toEqual({
    ...{ content: ' b', rating: 1, terminal: false },
    solution: { steps: [step(' b'), step('\nStep 3: d\ne'), step('\nStep 4: The answer is 2.')], terminal: true },
  })
  expect(side({ full_chosen: `${row.initial_reason_steps} b` })).toEqual({
    ...{ content: ' b', rating: 1, terminal: true },
    solution: { steps: [step(' b')], terminal: true },
  })
  // It ends with the words of the step, and goes on with others before.
  expect(side({ full_chosen: `${row.initial_reason_steps} b\nStep 3: b` })).toMatchObject({ terminal: false })
  expect(side({ full_chosen: 'another way: b' })).toEqual({ content: ' b', rating: 1, terminal: true })
  expect(side({ full_chosen: '' })).toEqual({ content: ' b', rating: 1, terminal: false })
  const long = { chosen: 'b '.repeat(200_000), full_chosen: `${row.initial_reason_steps}${'b '.repeat(200_000)}` }
  expect(side(long)).toMatchObject({ terminal: true })
})

/** A good row of each format. */
const GOOD: readonly Readonly<Record<string, unknown>>[] = [
  { question: { problem: 'q' }, label: { steps: [{ completions: [{ text: 'a', rating: 1 }] }] } },
  { prompt: 'q', initial_reason_steps: 'so', chosen: 'a', rejected: 'b', full_chosen: 'so a\nStep 2: c' },
  { prompt_ids: [1], chosen_ids: [2], rejected_ids: [3], chosen_mask: [1], rejected_weights: [0.5] },
  { prompt: 'q', completions: ['a', 'b'], labels: [true, 0.5] },
  { input: 'q Step 1: a ки', label: 'q Step 1: a +' },
  { conversations: [user('q Step 1: a'), assistant('+')] },
  { question: 'q', process: 'a\n\n\n\n\nb', label: ['+', '-'] },
  { question: 'q', reasoning_steps: node('q', 1, [node('a', 0.5, [node('b', 1)])]) },
  { trajectory: [{ from: 'user', value: 'q' }], chosen: 'a', rejected: 'b' },
  { messages: [user('q')], chosen: assistant('a'), rejected: assistant('b') },
  { prompt: 'q', chosen: 'a', rejected: 'b', chosen_terminal: false },
  { instruction: 'q', input: '', chosen: 'a', rejected: 'b', history: [['c', 'd']] },
  {
    conversations: [{ from: 'human', value: 'q' }],
    chosen: { from: 'gpt', value: 'a' },
    rejected: { from: 'gpt', value: 'b' },
  },
  { messages: [user('q'), assistant('a')], rejected_response: 'b' },
  { prompt: [user('q')], completion: [assistant('a')], label: false },
  { question: 'q' },
]

const WRITTEN = { group: 'g', separator: '', prefix: [], members: [] }

const strange = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(
    '',
    'a\r\nb',
    '__proto__',
    0.5,
    -1,
    true,
    ['+'],
    [1],
    [[]],
    user('q'),
    JSON.stringify(WRITTEN),
  ),
)

test('whatever stands in a column of a row, its format reads it, leaves it out or refuses it, and never throws', () => {
  const seen = new Set<string>()
  const change = fc.tuple(fc.constantFrom(...GOOD), fc.nat(), strange, fc.boolean())
  expect(new Set(GOOD.map((row) => detectFormat(row)?.name)).size).toBe(GOOD.length)
  fc.assert(
    fc.property(change, ([row, at, value, isOurs]) => {
      const format = detectFormat(row)
      const column = isOurs ? 'stepdpo' : Object.keys(row)[at % Object.keys(row).length]
      expect(format?.read(row, options)).toHaveProperty('labelled')
      const made = format?.read(JSON.parse(JSON.stringify({ ...row, [column]: value })), options) ?? {}
      const [kind] = ['labelled', 'dropped', 'bad'].filter((one) => one in made)
      expect(kind, format?.name).toBeDefined()
      seen.add(kind)
    }),
    { numRuns: 300 },
  )
  expect(seen).toContain('labelled')
  expect(seen).toContain('bad')
})
