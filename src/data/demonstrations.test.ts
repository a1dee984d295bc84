import { expect, test } from 'vitest'
import { demonstrationFormats, detectFormat } from './formats.ts'

const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })

function read(row: unknown) {
  const format = detectFormat(row, demonstrationFormats)
  const reading = format?.read(row, { neutral: 'drop', separator: '\n' })
  if (reading === undefined || !('labelled' in reading)) return { name: format?.name, ...reading }
  const { prompt, steps } = reading.labelled
  return { name: format?.name, prompt, candidates: steps.flatMap(({ candidates }) => candidates) }
}

const learned = (content: string) => [{ content, rating: 1, terminal: true }]

test('chat logs, completions and solutions are told apart, and what is learned ends the turn', () => {
  expect(read({ messages: [user('q'), assistant('no'), user('again'), assistant('a')] })).toEqual({
    name: 'chat',
    prompt: { messages: [user('q'), assistant('no'), user('again')] },
    candidates: learned('a'),
  })
  expect(read({ prompt: 'p ', completion: 'c' })).toEqual({
    name: 'completion',
    prompt: { raw: 'p ' },
    candidates: learned('c'),
  })
  expect(read({ prompt: [user('p')], completion: [assistant('c')] })).toEqual({
    name: 'completion',
    prompt: { messages: [user('p')] },
    candidates: learned('c'),
  })
  // GSM8K, and MATH, whose answer is not what is to be learned.
  expect(read({ question: 'q', answer: 'It is 4.\n#### 4' })).toEqual({
    name: 'solution',
    prompt: { messages: [user('q')] },
    candidates: learned('It is 4.\n#### 4'),
  })
  expect(read({ problem: 'p', solution: 's', answer: '4' })).toMatchObject({ candidates: learned('s') })
})

test('rows that show nothing are bad and say why; labelled rows are none of these', () => {
  expect(read({ messages: [user('q')] })).toMatchObject({
    bad: expect.stringMatching(/last one to be of the assistant/),
  })
  expect(read({ messages: [assistant('a')] })).toMatchObject({ bad: expect.stringMatching(/expected a prompt/) })
  expect(read({ messages: [user('q'), assistant('')] })).toMatchObject({ bad: expect.stringMatching(/empty/) })
  expect(read({ prompt: 'p', completion: [assistant('c')] })).toMatchObject({
    bad: expect.stringMatching(/both as text, or both/),
  })
  expect(read({ prompt: [user('p')], completion: [user('c')] })).toMatchObject({
    bad: expect.stringMatching(/one of the assistant/),
  })
  for (const row of [
    { prompt: 'p', chosen: 'a', rejected: 'b' },
    { question: 'q' },
    { messages: [], label: true },
    3,
  ]) {
    expect(detectFormat(row, demonstrationFormats)).toBeUndefined()
  }
})
