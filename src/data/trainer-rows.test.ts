import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { demonstrationFormats, detectFormat, formats } from './formats.ts'
import type { LabelledRow } from './labelled.ts'

const DATA = join(import.meta.dirname, '../../../shared/data')
const options = { neutral: 'drop', separator: '\n' } as const
const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })
const human = (value: string) => ({ from: 'human', value })
const gpt = (value: string) => ({ from: 'gpt', value })

function read(row: unknown): LabelledRow {
  const reading = detectFormat(row)?.read(row, options)
  if (reading === undefined || !('labelled' in reading)) throw new Error(`not labelled: ${JSON.stringify(reading)}`)
  return reading.labelled
}

function badness(row: unknown): string {
  const reading = detectFormat(row)?.read(row, options)
  return reading !== undefined && 'bad' in reading ? reading.bad : `not bad: ${JSON.stringify(reading)}`
}

const step = (content: string, rating: 1 | -1, terminal = false) => ({
  candidates: [{ content, rating, score: rating === 1 ? 1 : 0, terminal }],
  next: rating > 0 ? content : null,
})

const pair = (chosen: string, rejected: string, ends = { chosen: true, rejected: true }) => ({
  candidates: [
    { content: chosen, rating: 1, terminal: ends.chosen },
    { content: rejected, rating: -1, terminal: ends.rejected },
  ],
  next: null,
})

test('a math-shepherd row is a question and steps, rated where the marks stood, and the last one ends it', () => {
  const row = {
    input: 'Is 1 - 1 = 0? Step 1: 1 + 0 ки\nStep 2: so - 1 ки\nStep 3: yes ки',
    label: 'Is 1 - 1 = 0? Step 1: 1 + 0 +\nStep 2: so - 1 -\nStep 3: yes +',
    task: 'GSM8K',
  }
  expect(read(row)).toEqual({
    prompt: { messages: [user('Is 1 - 1 = 0?')] },
    separator: '\n',
    steps: [step('Step 1: 1 + 0', 1), step('Step 2: so - 1', -1), step('Step 3: yes', 1, true)],
  })
})

test('a math-shepherd row whose label is another text, or whose marks or question are missing, is bad', () => {
  const input = 'q Step 1: a ки\nStep 2: b ки'
  expect(badness({ input, label: 'q Step 1: a +\nStep 2: c -' })).toContain('label: expected the text of input')
  expect(badness({ input, label: 'q Step 1: a ?\nStep 2: b -' })).toContain('label: expected the text of input')
  expect(badness({ input, label: 'q Step 1: a +\nStep 2: b - more' })).toContain('label: expected the text of input')
  expect(badness({ input, label: 'q Step 1: a +' })).toContain('label: expected the text of input')
  expect(badness({ input: `${input} more`, label: input })).toContain('at the end')
  expect(badness({ input: 'q a ки', label: 'q a +' })).toContain('expected a question')
  expect(badness({ input: 'Step 1: a ки', label: 'Step 1: a +' })).toContain('expected a question')
  expect(badness({ input: 'q Step 1: a ки\nки', label: 'q Step 1: a +\n+' })).toBe('input: step 2 is empty')
  expect(badness({ input: 'ки'.repeat(100_000), label: '+' })).toContain('at most 1000 steps')
  expect(
    read({ input: `q Step 1: ${'a ки'.repeat(1000)}`, label: `q Step 1: ${'a +'.repeat(1000)}` }).steps,
  ).toHaveLength(1000)
})

test('an rlhflow row has a step in every message of the user, with the question before the first', () => {
  const said = (first: string) => ({
    conversations: [user(first), assistant('+'), user('Step 2: b'), assistant('-'), user('Step 3: c'), assistant('-')],
  })
  const steps = [step('Step 1: a', 1), step('Step 2: b', -1), step('Step 3: c', -1, true)]
  expect(read(said('q Step 1: a'))).toEqual({ prompt: { messages: [user('q')] }, separator: '\n', steps })
  expect(read(said('q\n\nin two parts\n\nfirst')).prompt).toEqual({ messages: [user('q\n\nin two parts')] })
  expect(badness(said('q and a step'))).toBe('conversations.0: expected a question, then "Step 1:" or a blank line')
  const broken = { conversations: [user('q Step 1: a'), assistant('+'), user('b'), assistant('right')] }
  expect(badness(broken)).toBe('conversations.2: expected a step of the user, then + or - of the assistant')
  expect(badness({ conversations: broken.conversations.slice(0, 3) })).toContain('conversations.2')
})

test('alpaca rows join instruction and input, and put the system text and rounds before them', () => {
  const row = { instruction: 'add', input: '1 1', chosen: '2', rejected: '3' }
  expect(read(row)).toEqual({ prompt: { messages: [user('add\n1 1')] }, separator: '', steps: [pair('2', '3')] })
  const full = { ...row, input: '', system: 's', history: [['hi', 'ho']] }
  expect(read(full).prompt).toEqual({
    messages: [{ role: 'system', content: 's' }, user('hi'), assistant('ho'), user('add')],
  })
  expect(badness({ ...row, instruction: '', input: null })).toContain('no prompt')
  expect(badness({ ...row, rejected: '' })).toContain('rejected')
})

test('sharegpt rows take people and models by their names there, and tools are refused', () => {
  const row = { conversations: [human('a'), gpt('b'), human('c')], chosen: gpt('d'), rejected: gpt('e') }
  expect(read(row)).toEqual({
    prompt: { messages: [user('a'), assistant('b'), user('c')] },
    separator: '',
    steps: [pair('d', 'e')],
  })
  expect(read({ ...row, system: 's' }).prompt).toMatchObject({ messages: { 0: { role: 'system', content: 's' } } })
  expect(badness({ ...row, chosen: human('d') })).toContain('one assistant message')
  expect(badness({ ...row, conversations: [{ from: 'observation', value: 'x' }] })).toContain('unsupported')
  expect(badness({ ...row, conversations: [] })).toContain('no prompt')
})

test('an ms-swift row ends with what is chosen, and names what is rejected as text or as messages', () => {
  const messages = [user('a'), assistant('b')]
  const wanted = { prompt: { messages: [user('a')] }, separator: '', steps: [pair('b', 'c')] }
  expect(read({ messages, rejected_response: 'c' })).toEqual(wanted)
  expect(read({ messages, rejected_messages: [user('a'), assistant('c')] })).toEqual(wanted)
  expect(badness({ messages: [user('a')], rejected_response: 'c' })).toContain('no prompt')
  expect(badness({ messages: [user('a'), user('b')], rejected_response: 'c' })).toContain('one assistant message')
  // Whoever wants demonstrations gets what is chosen, with its mark.
  const marked = { messages, rejected_response: 'c', chosen_terminal: false }
  expect(detectFormat(marked, [...demonstrationFormats, ...formats])?.name).toBe('ms-swift')
})

test('a begun answer is the step before both sides, and the columns of data convert say which side goes on', () => {
  const marks = { chosen_terminal: false, rejected_terminal: true }
  const wanted = {
    prompt: { messages: [user('q')] },
    separator: '',
    steps: [{ candidates: [], next: 'one\n' }, pair('two\n', 'three', { chosen: false, rejected: true })],
  }
  const begun = [user('q'), assistant('one\n')]
  const rows = [
    { prompt: begun, chosen: [assistant('two\n')], rejected: [assistant('three')] },
    { messages: [...begun, assistant('two\n')], rejected_response: 'three' },
    { conversations: [human('q'), gpt('one\n')], chosen: gpt('two\n'), rejected: gpt('three') },
  ]
  for (const row of rows) expect(read({ ...row, ...marks })).toEqual(wanted)
  expect(badness({ ...rows[0], chosen_terminal: 'no' })).toContain('chosen_terminal')
})

describe.skipIf(!existsSync(DATA))('real files', () => {
  test('every sample of Math-Shepherd gives its numbered steps, as many ratings as its label has signs', () => {
    const lines = readFileSync(join(DATA, 'math-shepherd/samples.jsonl'), 'utf8').trim().split('\n')
    expect(lines).toHaveLength(7)
    for (const line of lines) {
      const { label } = JSON.parse(line)
      const { prompt, steps } = read(JSON.parse(line))
      steps.forEach(({ candidates: [one] }, at) => {
        expect('content' in one && one.content).toMatch(new RegExp(`^Step ${at + 1}: .*[^ ]$`, 's'))
      })
      expect(JSON.stringify(prompt)).not.toContain('Step 1')
      const signs = [...label.matchAll(/ ([+-])(?:\n|$)/g)].map(([, sign]) => sign)
      expect(steps.map(({ next }) => (next === null ? '-' : '+'))).toEqual(signs)
    }
  })

  test("all 300 rows of LLaMA-Factory's demonstration are pairs of whole answers to a question", () => {
    const rows: unknown[] = JSON.parse(readFileSync(join(DATA, 'preference/llamafactory_dpo_en_demo.json'), 'utf8'))
    const prompts = rows.map((row) => {
      const { prompt, steps } = read(row)
      expect(steps).toHaveLength(1)
      return 'messages' in prompt ? prompt.messages : []
    })
    expect(prompts).toHaveLength(300)
    expect(prompts.filter(([first]) => first.role === 'system')).toHaveLength(80)
    expect(prompts.every((messages) => messages.at(-1)?.role === 'user')).toBe(true)
  })
})
