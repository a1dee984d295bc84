/** @file Texts as Python has them: of code points, with its white space and its ends of lines. */
import { checkProduct, checkSize } from './bounds.ts'

/** For a class of a pattern: what Python's str.isspace() and \s mean. JavaScript's \s is another set. */
export const WHITESPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const SPACE = new RegExp(`[${WHITESPACE}]`)
const NOT_SPACE = new RegExp(`[^${WHITESPACE}]+`, 'g')
const LINE_ENDS = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029'
const LINE = new RegExp(`[^${LINE_ENDS}]*(?:\\r\\n|[${LINE_ENDS}]|$)`, 'gy')
const LINE_END = new RegExp(`(?:\\r\\n|[${LINE_ENDS}])$`)
const SURROGATE = /[\ud800-\udfff]/

/** The characters of a text as JavaScript counts them, where that is how Python counts them too. */
export function charactersOf(text: string): string | readonly string[] {
  return SURROGATE.test(text) ? Array.from(text) : text
}

/** The number of code points. */
export function countCharacters(text: string): number {
  return charactersOf(text).length
}

/** Text without the characters at its start, or without white space. */
export function stripStart(text: string, characters?: string): string {
  const takes = stripped(text, characters)
  let start = 0
  for (const character of text) {
    if (!takes(character)) break
    start += character.length
  }
  return text.slice(start)
}

/** Text without the characters at its end, or without white space. */
export function stripEnd(text: string, characters?: string): string {
  const takes = stripped(text, characters)
  let end = text.length
  while (end > 0) {
    const size = end > 1 && (text.codePointAt(end - 2) ?? 0) > 0xffff ? 2 : 1
    if (!takes(text.slice(end - size, end))) break
    end -= size
  }
  return text.slice(0, end)
}

export function strip(text: string, characters?: string): string {
  return stripEnd(stripStart(text, characters), characters)
}

function stripped(text: string, characters: string | undefined): (character: string) => boolean {
  if (characters === undefined) return (character) => SPACE.test(character)
  const set = new Set(characters)
  checkProduct(1, text.length)
  return (character) => set.has(character)
}

/** Python's splitlines(). */
export function splitLines(text: string, keepEnds = false): string[] {
  const lines = text.match(LINE)?.filter((line) => line !== '') ?? []
  return keepEnds ? lines : lines.map((line) => line.replace(LINE_END, ''))
}

/** Python's split() and, from the right, rsplit(); `limit` is the most splits, or -1. */
export function split(text: string, separator: string | undefined, limit: number, fromRight = false): string[] {
  if (separator === undefined) return splitWords(text, limit, fromRight)
  if (separator === '') throw new Error('empty separator')
  checkProduct(text.length, separator.length)
  if (!fromRight) return splitFirst(text.split(separator), separator, limit)
  const parts: string[] = []
  let end = text.length
  while (limit < 0 || parts.length < limit) {
    const at = end < separator.length ? -1 : text.lastIndexOf(separator, end - separator.length)
    if (at < 0) break
    parts.push(text.slice(at + separator.length, end))
    end = at
  }
  return [text.slice(0, end), ...parts.reverse()]
}

function splitFirst(parts: string[], separator: string, limit: number): string[] {
  if (limit < 0 || parts.length <= limit + 1) return parts
  return [...parts.slice(0, limit), parts.slice(limit).join(separator)]
}

function splitWords(text: string, limit: number, fromRight: boolean): string[] {
  const words = [...text.matchAll(NOT_SPACE)]
  if (limit < 0 || words.length <= limit) return words.map(([word]) => word)
  if (fromRight) {
    const cut = words.length - limit
    return [text.slice(0, words[cut - 1].index + words[cut - 1][0].length), ...words.slice(cut).map(([word]) => word)]
  }
  return [...words.slice(0, limit).map(([word]) => word), text.slice(words[limit].index)]
}

/** Python's replace(); `limit` is the most replacements, or -1. */
export function replace(text: string, old: string, replacement: string, limit: number): string {
  checkProduct(text.length, old.length)
  checkProduct(text.length + 1, replacement.length)
  if (old !== '') return split(text, old, limit).join(replacement)
  const characters = Array.from(text)
  const places = limit < 0 ? characters.length + 1 : Math.min(limit, characters.length + 1)
  return (
    characters.map((c, i) => (i < places ? replacement : '') + c).join('') +
    (places > characters.length ? replacement : '')
  )
}

/** The order of code points; that of JavaScript differs beyond U+FFFF. */
export function compareTexts(left: string, right: string): number {
  if (!SURROGATE.test(left) && !SURROGATE.test(right)) return left < right ? -1 : Number(left > right)
  const [a, b] = [Array.from(left), Array.from(right)]
  const at = a.findIndex((character, i) => character !== b[i])
  if (at < 0) return a.length - b.length
  return (a[at].codePointAt(0) ?? 0) - (b[at]?.codePointAt(0) ?? -1)
}

/** The texts with the separator between them. */
export function joinTexts(separator: string, texts: readonly string[]): string {
  checkProduct(separator.length, texts.length)
  checkSize(texts.reduce((size, text) => size + text.length, separator.length * Math.max(0, texts.length - 1)))
  return texts.join(separator)
}
