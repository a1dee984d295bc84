import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { isSlow } from '../../test/slow.ts'
import { splitSteps } from '../text/steps.ts'
import { isRepetitive, isStoppedEarly } from './text-health.ts'

function repeats(completion: string): boolean {
  return isRepetitive({ completion, steps: splitSteps(completion, 'auto').steps.map(({ text }) => text) })
}

const ADDING = Array.from(
  { length: 12 },
  (_, at) => `Step ${at + 1}: ${at} + 3 = ${at + 3}, so the total is now ${at + 3}.`,
)

test.each([
  ['steps that are alike but for their numbers', ADDING.join('\n')],
  ['a step said twice', [...ADDING, ADDING[11].replace('12', '13')].join('\n')],
  ['a long sum of equal terms', `The sum is ${Array.from({ length: 18 }, () => '4').join(' + ')} = 72.`],
  ['sums of equal fractions', String.raw`\frac{1}{4} + \frac{1}{4} + \frac{1}{4} + \frac{1}{4} = 1`],
  ['digits that recur', `0.${'3'.repeat(400)}`],
  ['nothing', ''],
])('%s is no repetition', (_, text) => {
  expect(repeats(text)).toBe(false)
})

test.each([
  ['one word on and on', `The answer is ${'the '.repeat(60)}`],
  [
    'a sentence three times in a row',
    `We add 3 and 4. ${'Now we multiply both sides by the common factor of 2 again. '.repeat(4)}`,
  ],
  [
    'a loop that is cut in the middle',
    `First, 2 + 2 = 4.\n${'Then we add 5 to it, and get 9 in all.\nBut wait, that is wrong.\n'.repeat(9).slice(0, -17)}`,
  ],
  ['a loop in the middle of a text', `Start. ${'and so on, '.repeat(20)}. The answer is 7.`],
  [
    'one step under three numbers, apart from each other',
    ['Step 1: 5 + 3 = 8', 'Step 2: so x is 8', 'Step 3: 5 + 3 = 8', 'Step 4: 5 + 3 = 8'].join('\n'),
  ],
  ['signs without spaces', '},{"x":1'.repeat(40)],
])('%s is a repetition', (_, text) => {
  expect(repeats(text)).toBe(true)
})

test('a long completion takes bounded time, and loops are seen at its end', () => {
  const words = Array.from({ length: 100_000 }, (_, at) => `w${at}`).join(' ')
  const began = performance.now()
  expect(repeats(words)).toBe(false)
  expect(repeats(`${words} ${'and again and once more '.repeat(30)}`)).toBe(true)
  expect(performance.now() - began).toBeLessThan(30_000)
})

test('a completion that ends by itself without an answer has stopped early; one that was cut has not', () => {
  expect(isStoppedEarly({ finish: 'stop', final_answer: null })).toBe(true)
  expect(isStoppedEarly({ finish: 'stop', final_answer: '' })).toBe(false)
  expect(isStoppedEarly({ finish: 'length', final_answer: null })).toBe(false)
})

const solutions = ['gsm8k', 'math'].map((name) =>
  fileURLToPath(new URL(`../../../shared/data/processbench/${name}.json`, import.meta.url)),
)

test.skipIf(!solutions.every(existsSync))(
  'no right solution of ProcessBench repeats itself; each does with its last steps three times more',
  () => {
    const count = isSlow ? 193 : 40 // GSM8K's has 193, MATH's more
    for (const file of solutions) {
      const rows: { label: number; steps: string[] }[] = JSON.parse(readFileSync(file, 'utf8'))
      const right = rows.filter(({ label }) => label === -1).slice(0, count)
      expect(right.length).toBe(count)
      for (const { steps } of right) {
        expect(isRepetitive({ completion: steps.join('\n\n'), steps })).toBe(false)
        const end = steps.slice(-2)
        const looped = [...steps, ...end, ...end, ...end]
        expect(isRepetitive({ completion: looped.join('\n\n'), steps: looped })).toBe(true)
      }
    }
  },
)
