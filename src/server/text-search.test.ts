import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createTextSearch } from './text-search.ts'

test('finds the texts that hold a text whatever the case, and no others', () => {
  const short = fc.string({ unit: fc.constantFrom('a', 'B', 'b', 'é', '\n', '😀', ' '), maxLength: 6 })
  fc.assert(
    fc.property(fc.array(short, { maxLength: 12 }), short, (texts, wanted) => {
      const search = createTextSearch()
      for (const text of texts) search.add(text)
      const expected = texts.flatMap((text, at) =>
        wanted !== '' && text.toLowerCase().includes(wanted.toLowerCase()) ? [at] : [],
      )
      expect([...search.find(wanted)]).toEqual(expected)
    }),
    { numRuns: 200 },
  )
})

test('texts that fill more than a block are all searched', () => {
  const search = createTextSearch()
  const long = 'x'.repeat(3_000_000)
  for (const end of ['one', 'two', 'three']) search.add(long + end)
  expect([...search.find('xT')]).toEqual([1, 2])
})
