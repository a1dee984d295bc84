/** @file What stands between the quotes of a string of a template, by the rules of Python's unicode-escape. */

const SIMPLE: Readonly<Record<string, string>> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}
const HEX_DIGITS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

/**
 * The text that a string literal stands for. An escape that Python does not know keeps its backslash.
 * @throws Error for an escape that is cut off, one by name, and halves of surrogate pairs.
 */
export function unescapeString(source: string): string {
  return source.replace(/\\(?:[xuU][\da-fA-F]*|[0-7]{1,3}|[\s\S])/g, unescapeOne)
}

function unescapeOne(all: string): string {
  const letter = all[1]
  if (Object.hasOwn(HEX_DIGITS, letter)) return unescapeHex(all.slice(2), HEX_DIGITS[letter], all)
  if (/[0-7]/.test(letter)) return String.fromCharCode(Number.parseInt(all.slice(1), 8))
  if (letter === 'N') throw new Error('characters by name (\\N) are not supported')
  return Object.hasOwn(SIMPLE, letter) ? SIMPLE[letter] : all
}

function unescapeHex(digits: string, length: number, all: string): string {
  const code = Number.parseInt(digits.slice(0, length), 16)
  const isHalf = code >= 0xd800 && code <= 0xdfff
  if (digits.length < length || code > 0x10ffff || isHalf) throw new Error(`invalid escape ${all.slice(0, 12)}`)
  return String.fromCodePoint(code) + digits.slice(length)
}
