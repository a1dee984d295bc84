import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { extractAnswer } from './extract.ts'

describe('what a completion states as its answer', () => {
  test.each<readonly [text: string, answer: string]>([
    ['She makes 9 * 2 = $<<9*2=18>>18.\n#### 18', '18'],
    ['#### 1\nmore\n#### 1,080\n', '1,080'],
    ['#### $18.50', '$18.50'],
    ['#### Step 1: add\nSo it is 5.\n#### 5\nQuestion: next', '5'],
    ['work\n#### x = 5', 'x = 5'],
    ['\\boxed{5}', '5'],
    ['first \\boxed{1}, then $\\boxed{\\frac{1}{2}}$.', '\\frac{1}{2}'],
    ['$\\boxed{\\left\\{1, \\{2\\}\\right\\}}$', '\\left\\{1, \\{2\\}\\right\\}'],
    ['\\boxed {7}', '7'],
    ['\\boxed 7', '7'],
    ['is $\\boxed 12$ now', '12'],
    ['\\fbox{A}', 'A'],
    ['\\boxed{\\boxed{5}}', '5'],
    ['\\boxed{5} or \\boxed{', '5'],
    ['\\boxed{5} or \\boxed{}', '5'],
    ['\\boxed{$3200}', '$3200'],
    ['\\boxed{$5$}', '5'],
    ['The answer is \\boxed{6}. I boxed{7} it.', '6'],
    ['So 180 is it.\n\n# Answer\n\n180', '180'],
    ['The answer is $\\boxed{C}$ as it is.\n\n# Answer\n\n\\frac{2\\sqrt{3}}{3}\n', '\\frac{2\\sqrt{3}}{3}'],
    ['## Answer:\nWe add 2 and 3.\nThe answer is 5.', '5'],
    ['# Answer\n\n$\\boxed{5}$', '5'],
    ['So $\\boxed{B}$.\n\n## Answer\nIt is the second one.', 'B'],
    ['The answer is 5.', '5'],
    ['The answer is: 13520 ки', '13520 ки'],
    ['The final answer is 3.25. I hope it is correct.', '3.25'],
    ['Final Answer: The final answer is $143$. I hope it is correct.', '143'],
    ['The answer is 1,000. Then I checked.', '1,000'],
    ['The answer is approx. 5 cm. Good.', 'approx. 5 cm'],
    ['The answer is:\n\n\\[\n x = 5 \n\\]\nDone.', 'x = 5'],
    ['**Answer:** **5**', '5'],
    ['**Answer**: 5 apples', '5 apples'],
    ['Answer: $\\frac{3}{4}$', '\\frac{3}{4}'],
    ['Answer: (A)', '(A)'],
    ['The answers are 3 and 4.', '3 and 4'],
    ['The answer is \\(x\\) and \\(y\\).', '\\(x\\) and \\(y\\)'],
    ['The answer is 5. The answer is correct.', '5'],
    ['The answer is "east".', 'east'],
  ])('%j states %j', (text, answer) => {
    expect(extractAnswer(text)).toBe(answer)
  })

  test.each([
    '',
    'So there are 12 left.',
    '#### Step 3: Add\nand so on',
    'answer',
    'The answer is not 5.',
    '\\boxed{5',
  ])('%j states none', (text) => {
    expect(extractAnswer(text)).toBeNull()
  })
})

describe('last-number', () => {
  test.each<readonly [text: string, answer: string | null]>([
    ['3 + 4 makes 7 eggs.', '7'],
    ['He pays $1,234.50.', '$1,234.50'],
    ['It falls to -5 or 40%', '40%'],
    ['from 3 to −5.', '−5'],
    ['no number', null],
    ['The answer is six, after 2 days. Then 9.', 'six, after 2 days'],
  ])('%j: %j', (text, answer) => {
    expect(extractAnswer(text, { fallback: 'last-number' })).toBe(answer)
  })
})

const PIECES = ['\\boxed{', '\\fbox', '{', '}', '\\{', '#### ', '# Answer', '\n', '\n\n', 'The answer is', 'Answer: ']
const MORE = ['$', '$$', '\\[', '\\]', '**', '`', ' ', '.', '5', '1,234', 'x', '\\', '\ud800', '。', ': ']
const soup = fc.array(fc.oneof(fc.constantFrom(...PIECES, ...MORE), fc.string({ maxLength: 4 })), { maxLength: 40 })

test('of any text an answer is a part of it that is not blank, or null', () => {
  fc.assert(
    fc.property(soup, fc.constantFrom('none', 'last-number'), (pieces, fallback) => {
      const text = pieces.join('')
      const answer = extractAnswer(text, { fallback })
      if (answer !== null) expect([answer.trim(), text]).toEqual([answer, expect.stringContaining(answer)])
      expect(answer).not.toBe('')
    }),
    { numRuns: 1000 },
  )
})

test('long texts take no more than a moment', () => {
  const parts = ['\\boxed{', '{', '}', '#### 5\n', '# Answer\n', 'The answer is ', 'answer: $', '1,234,', '`', '. ']
  for (const part of parts) {
    const text = part.repeat(Math.floor(50_000 / part.length))
    for (const long of [text, `\\boxed{${text}x}`]) {
      const start = performance.now()
      extractAnswer(long, { fallback: 'last-number' })
      expect([part, performance.now() - start < 1000]).toEqual([part, true])
    }
  }
})
