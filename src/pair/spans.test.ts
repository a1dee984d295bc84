import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SPLITTERS, type Splitter, splitSteps } from '../text/steps.ts'
import { stepSpans, withoutSpace } from './spans.ts'

const pieces = fc.constantFrom(
  'a',
  'Step 1: x',
  'Step 2: x',
  '\n',
  '\n\n',
  '\r\n',
  ' ',
  '1. ',
  '2. ',
  'So. Then',
  '##',
  '```',
)
const texts = fc.array(pieces, { maxLength: 14 }).map((parts) => parts.join(''))
const splitters = fc.constantFrom<Splitter>(...SPLITTERS, /##/, /\n(?=S)/)

const stepsOf = (completion: string, splitter: Splitter) =>
  splitSteps(completion, splitter).steps.map(({ text }) => text)

test('prefix and content of a step are the prefix of the next, and those of the last are the completion', () => {
  fc.assert(
    fc.property(
      texts,
      splitters,
      fc.nat(20),
      fc.constantFrom('stop', 'length'),
      (completion, splitter, most, finish) => {
        const given = Math.min(most, completion.length)
        const steps = stepsOf(completion, splitter)
        const spans = stepSpans({ completion, steps, finish, given }) ?? []
        expect(spans).toHaveLength(steps.length)
        const joined = spans.map(({ prefix, content }) => prefix + content)
        if (spans.length > 0) expect(joined).toEqual([...spans.slice(1).map(({ prefix }) => prefix), completion])
        spans.forEach(({ prefix, content, terminal, isCut }, at) => {
          expect(prefix.length).toBeGreaterThanOrEqual(given) // no side has a letter that the policy did not write
          expect(terminal).toBe(at === spans.length - 1 && finish === 'stop')
          expect(isCut).toBe(at === spans.length - 1 && finish === 'length')
          if (prefix.length > given) expect(content.startsWith(steps[at])).toBe(true)
          else expect(withoutSpace(completion.slice(0, given) + content)).toContain(withoutSpace(steps[at]))
        })
      },
    ),
    { numRuns: 100 },
  )
})

test('steps that come again are found one after another, with Windows line ends where they have them', () => {
  const completion = 'x = 1\r\nx = 1\r\n\r\nx = 1'
  const spans = stepSpans({ completion, steps: ['x = 1', 'x = 1', 'x = 1'], finish: 'stop' })
  expect(spans).toEqual([
    { prefix: '', content: 'x = 1\r\n', terminal: false, isCut: false },
    { prefix: 'x = 1\r\n', content: 'x = 1\r\n\r\n', terminal: false, isCut: false },
    { prefix: 'x = 1\r\nx = 1\r\n\r\n', content: 'x = 1', terminal: true, isCut: false },
  ])
})

test('what a pattern cut out between two steps stays in the text', () => {
  const spans = stepSpans({ completion: 'a##b', steps: stepsOf('a##b', /##/), finish: 'stop' })
  expect(spans?.map(({ content }) => content)).toEqual(['a##', 'b'])
})

test('a step that the policy was given has no content, one that it went on with has the rest', () => {
  const completion = "Let's see.\nStep 1: 2 + 3 = 5\nStep 2: done"
  const steps = stepsOf(completion, 'auto')
  expect(steps).toHaveLength(3)
  const spans = stepSpans({ completion, steps, finish: 'stop', given: "Let's see.\nStep 1:".length })
  expect(spans?.map(({ content }) => content)).toEqual(['', ' 2 + 3 = 5\n', 'Step 2: done'])
  expect(spans?.[1].prefix).toBe("Let's see.\nStep 1:")
})

test('steps that are not those of the completion have no places', () => {
  expect(stepSpans({ completion: 'a\nb', steps: ['b', 'a'], finish: 'stop' })).toBeUndefined()
  expect(stepSpans({ completion: 'a', steps: ['a', 'a'], finish: 'stop' })).toBeUndefined()
})
