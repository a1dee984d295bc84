/** @file What written arithmetic is made of, once blanks, dollar signs and LaTeX's spacing are taken away. */
import type { Fraction } from '../../text/number.ts'

export type Operator = '+' | '-' | '*' | '/' | '^' | '!' | '%'

export type Mark =
  /** `decimals`: digits written after the point; `zeros`: zeros that end a whole number. */
  | {
      readonly kind: 'number'
      readonly text: string
      readonly value: Fraction
      readonly decimals: number
      readonly zeros: number
    }
  /** A letter or identifier that may stand for a number. */
  | { readonly kind: 'name'; readonly text: string }
  | { readonly kind: 'pi'; readonly text: 'π' }
  /** A word in lower case: a unit where it follows a number. */
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'operator'; readonly text: Operator }
  | { readonly kind: 'open' | 'close'; readonly text: string }
  | { readonly kind: 'command'; readonly text: 'frac' | 'sqrt' | 'binom' }
  /** `other` relates its sides in a way that is not judged: <, ≠, ≡, →. */
  | { readonly kind: 'relation'; readonly text: '=' | '≈' | 'other' }
  /** Ends an expression: punctuation, a line's end, a bracket around prose. */
  | { readonly kind: 'stop'; readonly text: string }
  /** Makes every expression that it touches unreadable. */
  | { readonly kind: 'unknown'; readonly text: string }

/** A mark and the characters [start, end) that it was read from. */
export type Token = Mark & { readonly start: number; readonly end: number }
