import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InputError } from '../base/errors.ts'
import { type HeaderValue, parseHeaderJson } from './header-json.ts'

function parse(text: string): HeaderValue {
  return parseHeaderJson(Buffer.from(text), 'file', 8)
}

/** Maps as entries, so that what was parsed compares with what JSON.parse gives. */
function plain(value: HeaderValue): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]))
  return Array.isArray(value) ? value.map(plain) : value
}

const { document } = fc.letrec((tie) => ({
  document: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'grapheme' }),
    fc.maxSafeNat(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('document'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('document'), { maxKeys: 4 }),
  ),
}))

test('whatever JSON.stringify writes of strings, whole numbers and words is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(document, fc.constantFrom(undefined, 1, '\t', '\r\n'), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      expect(plain(parse(text))).toEqual(JSON.parse(text))
    }),
  )
})

test('what JSON.parse refuses is refused, with the byte where it stands', () => {
  fc.assert(
    fc.property(document, fc.nat(), fc.string({ maxLength: 3 }), (value, position, inserted) => {
      const text = JSON.stringify(value)
      const at = position % (text.length + 1)
      const edited = text.slice(0, at) + inserted + text.slice(at)
      try {
        JSON.parse(edited)
      } catch {
        expect(() => parse(edited)).toThrow(InputError)
      }
    }),
    { numRuns: 500 },
  )
  expect(() => parse('{"a" 1}')).toThrow('file (byte 13): expected \':\', found "1}"')
})

test.each(['9007199254740992', '18446744073709551615', '1.0', '1e2', '-1', '-0', '01', 'NaN'])(
  'the number %s, which a double may change or a size cannot be, is refused',
  (text) => {
    expect(() => parse(`[${text}]`)).toThrow(InputError)
  },
)

test('the largest whole number below 2^53 is exact', () => {
  expect(parse('9007199254740991')).toBe(2 ** 53 - 1)
})

test('a key that stands twice is refused, also where an escape hides it', () => {
  expect(() => parse('{"a":1,"a":1}')).toThrow('expected each key once, found "a" again')
  expect(() => parse('{"a":1,"\\u0061":1}')).toThrow(InputError)
  expect(parse('{"a":{"a":1}}')).toEqual(new Map([['a', new Map([['a', 1]])]]))
})

test('keys that mean something to JavaScript are only keys', () => {
  const value = parse('{"__proto__":{"polluted":1},"constructor":2}')
  expect(value).toEqual(
    new Map<string, HeaderValue>([
      ['__proto__', new Map([['polluted', 1]])],
      ['constructor', 2],
    ]),
  )
  expect(Object.keys(Object.prototype)).toEqual([])
})

test('a million open brackets are refused, not followed', () => {
  expect(() => parse('['.repeat(1_000_000))).toThrow('expected at most 128 levels')
  expect(() => parse('{"a":'.repeat(1_000_000))).toThrow('expected at most 128 levels')
})

test('a half of a surrogate pair and bytes that are no UTF-8 are refused', () => {
  expect(() => parse('"\\ud800"')).toThrow('a whole JSON string in UTF-8')
  expect(parse('"\\ud83e\\udd99"')).toBe('🦙')
  expect(() => parseHeaderJson(Buffer.from([0x22, 0xff, 0x22]), 'file', 8)).toThrow(InputError)
})
