/** @file What single characters and pairs of them mean to arithmetic. */
import type { Mark } from './token.ts'

type Entry = readonly [string, Mark | null]

function each(signs: string, mark: Mark | null): Entry[] {
  return [...signs].map((sign) => [sign, mark] as const)
}

/** Sign → its mark; null: looks only, or money. */
export const SIGNS: ReadonlyMap<string, Mark | null> = new Map<string, Mark | null>([
  ...each('$€£~`', null),
  ...each('+', { kind: 'operator', text: '+' }),
  ...each('-−–', { kind: 'operator', text: '-' }),
  ...each('*×·⋅∙∗', { kind: 'operator', text: '*' }),
  ...each('/÷∕⁄', { kind: 'operator', text: '/' }),
  ...each('^', { kind: 'operator', text: '^' }),
  ...each('!', { kind: 'operator', text: '!' }),
  ...each('%', { kind: 'operator', text: '%' }),
  ...[...'([{'].map((sign) => [sign, { kind: 'open', text: sign }] as const),
  ...[...')]}'].map((sign) => [sign, { kind: 'close', text: sign }] as const),
  ...each('=', { kind: 'relation', text: '=' }),
  ...each('≈', { kind: 'relation', text: '≈' }),
  ...each('<>≤≥≠≡→⇒⟹⇔∈', { kind: 'relation', text: 'other' }),
  ...each('π', { kind: 'pi', text: 'π' }),
  ...each('√', { kind: 'command', text: 'sqrt' }),
  ...[...'.,;:?\n•'].map((sign) => [sign, { kind: 'stop', text: sign }] as const),
])

export const PAIRS: ReadonlyMap<string, Mark> = new Map<string, Mark>([
  ['==', { kind: 'relation', text: '=' }],
  ['~=', { kind: 'relation', text: '≈' }],
  ...['!=', '<=', '>=', '=>', '->'].map((pair) => [pair, { kind: 'relation', text: 'other' }] as const),
  ...[':=', '..', '//', '+-'].map((pair) => [pair, { kind: 'unknown', text: pair }] as const),
])

/** Superscript digits by their value. */
export const POWERS = '⁰¹²³⁴⁵⁶⁷⁸⁹'

/** Fractions that are one character. */
export const FRACTIONS: ReadonlyMap<string, readonly [bigint, bigint]> = new Map([
  ['½', [1n, 2n]],
  ['⅓', [1n, 3n]],
  ['⅔', [2n, 3n]],
  ['¼', [1n, 4n]],
  ['¾', [3n, 4n]],
])
