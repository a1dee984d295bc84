import fc from 'fast-check'
import { expect, test } from 'vitest'
import { tableLines } from './table.ts'
import { displayWidth } from './width.ts'

const table = {
  head: ['name', 'updates', 'loss', 'note'],
  rows: [
    ['数学', '1,024', '0.4127', 'the first run of the new data'],
    ['calm-otter', '7', '', ''],
  ],
}

test('columns are aligned, numbers to the right, and nothing is cut in a pipe', () => {
  expect(tableLines(table)).toEqual([
    'name        updates    loss  note',
    '数学          1,024  0.4127  the first run of the new data',
    'calm-otter        7',
  ])
})

test('on a narrow terminal texts are cut and numbers are not', () => {
  // 36 columns − 3 gaps of 2 − 7 and 6 of numbers leave 17 for two texts: 8 each
  expect(tableLines(table, 36)).toEqual([
    'name      updates    loss  note',
    '数学        1,024  0.4127  the fir…',
    'calm-ot…        7',
  ])
})

test('no line is wider than the terminal', () => {
  const cell = fc.string({ unit: 'grapheme' })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(cell, cell, fc.nat().map(String))),
      fc.integer({ min: 1, max: 60 }),
      (rows, width) => {
        const lines = tableLines({ head: ['a', 'b', 'c'], rows }, width)
        expect(lines).toHaveLength(rows.length + 1)
        for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(width)
      },
    ),
  )
})
