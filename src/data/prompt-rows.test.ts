import { expect, test } from 'vitest'
import { readQuestion } from './prompt-rows.ts'

function read(row: unknown) {
  const reading = readQuestion(row)
  return 'bad' in reading ? reading.bad : [reading.question.problem, reading.question.answer]
}

test('the question and its answer are found in the columns of the data sets that people use', () => {
  expect(read({ question: 'q', answer: 'So <<2+1=3>>3.\n#### 1,003' })).toEqual(['q', '1,003']) // GSM8K
  expect(read({ problem: 'p', solution: 'x \\boxed{9}', answer: '\\frac{1}{2}' })).toEqual(['p', '\\frac{1}{2}']) // MATH-500
  expect(read({ problem: 'p', solution: 'Thus $\\boxed{9}$.' })).toEqual(['p', '9']) // MATH
  expect(read({ prompt: [{ role: 'user', content: 'p' }], answer: 4 })).toEqual(['p', '4'])
  expect(read({ question: { problem: 'p', ground_truth_answer: '4' }, label: {} })).toEqual(['p', '4']) // PRM800K
  expect(read({ prompt: 'p' })).toEqual(['p', null])
  expect(read({ prompt: 'p', answer: ' ' })).toEqual(['p', null])
})

test('rows that ask nothing are bad', () => {
  expect(read({ answer: '4' })).toBe('expected a prompt, problem or question')
  expect(read({ prompt: '' })).toMatch(/prompt/)
  expect(read('text')).toMatch(/expected object/)
})

test('equal questions have one id, whether they come as text or as a message', () => {
  const id = (row: unknown): string => {
    const reading = readQuestion(row)
    return 'bad' in reading ? '' : reading.question.id
  }
  expect(id({ prompt: 'p' })).toBe(id({ problem: [{ role: 'user', content: 'p' }] }))
  expect(id({ prompt: 'p' })).not.toBe(id({ prompt: 'p ' }))
})
