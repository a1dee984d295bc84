import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cutText, displayWidth, printable } from './width.ts'

test('wide, combining and joined characters take the columns a terminal gives them', () => {
  // Unicode Standard Annex 11, and annex 29 for what is one character to a reader.
  const widths: [string, number][] = [
    ['abc', 3],
    ['数学', 4],
    ['ｱ', 1],
    ['Ａ', 2],
    ['한', 2],
    ['e\u0301', 1],
    ['👍', 2],
    ['👩‍🔬', 2],
    ['🇫🇮', 2],
    ['⚠', 1],
    ['⚠\ufe0f', 2],
    ['█▍·…', 4],
    ['नि', 1],
    ['\u200b', 0],
  ]
  for (const [text, width] of widths) expect([text, displayWidth(text)]).toEqual([text, width])
})

test('a text that fits is kept whole; a cut one is a beginning and …, never wider than asked', () => {
  expect(cutText('数学の問題', 10)).toBe('数学の問題')
  expect(cutText('数学の問題', 8)).toBe('数学の…')
  expect(cutText('e\u0301e\u0301e\u0301', 2)).toBe('e\u0301…')
  expect(cutText('abc', 0)).toBe('')
  const text = fc.string({ unit: 'grapheme' })
  fc.assert(
    fc.property(text, fc.nat(20), (raw, width) => {
      const whole = printable(raw)
      const cut = cutText(whole, width)
      expect(displayWidth(cut)).toBeLessThanOrEqual(width)
      expect(whole.startsWith(cut.replace(/…$/, ''))).toBe(true)
    }),
  )
})

test('no control character and no mark that reorders text is printed', () => {
  expect(printable('a\u001b[31mb\r\nc\u009bd\u202ee')).toBe('a�[31mb  c�d�e')
  fc.assert(
    fc.property(fc.string({ unit: fc.nat(0x20ff).map((code) => String.fromCharCode(code)) }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u)
    }),
  )
})
