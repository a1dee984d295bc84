/** @file What commands, signs and words mean in a final answer. */
import type { Fraction } from '../number.ts'

/** What a final answer is made of. */
export type Mark =
  | { readonly kind: 'number'; readonly text: string; readonly value: Fraction }
  /** A variable or constant. */
  | { readonly kind: 'name'; readonly text: string }
  /** Prose or a unit, in lower case; `_8` behind a numeral of base 8. */
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'function'; readonly text: string }
  | { readonly kind: 'command'; readonly text: 'frac' | 'sqrt' | 'binom' }
  | { readonly kind: 'operator'; readonly text: '+' | '-' | '*' | '/' | '^' | '_' | '!' | '±' | '∓' }
  | { readonly kind: 'bar'; readonly text: '|' }
  | { readonly kind: 'open' | 'close'; readonly text: string }
  | { readonly kind: 'relation'; readonly text: '=' | '<' | '≤' | '>' | '≥' | '≠' | '∈' }
  /** Parts items, the parts of a union, and the cells and rows of a matrix. */
  | { readonly kind: 'separator'; readonly text: ',' | '∪' | '&' | '\\' }

type Entry = readonly [string, readonly Mark[]]

function all(names: string, ...marks: readonly Mark[]): Entry[] {
  return names.split(' ').map((name) => [name, marks] as const)
}

/** `\frac{num}{den}` */
function fractionMarks(num: bigint, den: bigint): Mark[] {
  const group = (value: bigint): Mark[] => [
    { kind: 'open', text: '{' },
    { kind: 'number', text: String(value), value: { num: value, den: 1n } },
    { kind: 'close', text: '}' },
  ]
  return [{ kind: 'command', text: 'frac' }, ...group(num), ...group(den)]
}

const EMPTY_SET: readonly Mark[] = [
  { kind: 'open', text: '{set' },
  { kind: 'close', text: '}set' },
]

export const FUNCTIONS = new Map<string, (x: number) => number>([
  ['sin', Math.sin],
  ['cos', Math.cos],
  ['tan', Math.tan],
  ['cot', (x) => 1 / Math.tan(x)],
  ['sec', (x) => 1 / Math.cos(x)],
  ['csc', (x) => 1 / Math.sin(x)],
  ['arcsin', Math.asin],
  ['arccos', Math.acos],
  ['arctan', Math.atan],
  ['ln', Math.log],
  ['log', Math.log10],
  ['exp', Math.exp],
])

const WORDS: readonly Entry[] = [
  ...[...FUNCTIONS.keys()].map((name) => [name, [{ kind: 'function', text: name }]] as const),
  ...all('sqrt', { kind: 'command', text: 'sqrt' }),
  ...all('pi', { kind: 'name', text: 'π' }),
  ...all('infinity infty', { kind: 'name', text: '∞' }),
  ...all('and or', { kind: 'separator', text: ',' }),
]

/** Words that are mathematics even where they are not LaTeX. */
export const MATH_WORDS: ReadonlyMap<string, readonly Mark[]> = new Map(WORDS)

/** Commands by name; none: space or looks. One that is not listed is a name. */
export const COMMANDS: ReadonlyMap<string, readonly Mark[]> = new Map<string, readonly Mark[]>([
  ...WORDS,
  ...all('left right big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle limits'),
  ...all('boxed fbox mathbf mathit mathcal boldsymbol bf vec overrightarrow overline bar hat widehat'),
  ...all('! , ; : > quad qquad enspace thinspace ( ) [ ]'),
  ...all('frac dfrac tfrac cfrac', { kind: 'command', text: 'frac' }),
  ...all('binom dbinom tbinom', { kind: 'command', text: 'binom' }),
  ...all('cdot times ast', { kind: 'operator', text: '*' }),
  ...all('div', { kind: 'operator', text: '/' }),
  ...all('pm', { kind: 'operator', text: '±' }),
  ...all('mp', { kind: 'operator', text: '∓' }),
  ...all('approx simeq', { kind: 'relation', text: '=' }),
  ...all('lt', { kind: 'relation', text: '<' }),
  ...all('le leq leqslant', { kind: 'relation', text: '≤' }),
  ...all('gt', { kind: 'relation', text: '>' }),
  ...all('ge geq geqslant', { kind: 'relation', text: '≥' }),
  ...all('ne neq', { kind: 'relation', text: '≠' }),
  ...all('in', { kind: 'relation', text: '∈' }),
  ...all('cup', { kind: 'separator', text: '∪' }),
  ...all('\\', { kind: 'separator', text: '\\' }),
  ...all('emptyset varnothing', ...EMPTY_SET),
  ...all('{ lbrace', { kind: 'open', text: '{set' }),
  ...all('} rbrace', { kind: 'close', text: '}set' }),
  ...all('langle', { kind: 'open', text: '⟨' }),
  ...all('rangle', { kind: 'close', text: '⟩' }),
  ...all('lbrack', { kind: 'open', text: '[' }),
  ...all('rbrack', { kind: 'close', text: ']' }),
  ...all('| vert lvert rvert mid', { kind: 'bar', text: '|' }),
  ...all('$', { kind: 'word', text: '$' }),
  ...all('%', { kind: 'word', text: '%' }),
  ...all('degree', { kind: 'word', text: '°' }),
  ...all('varphi', { kind: 'name', text: '\\phi' }),
  ...all('varepsilon', { kind: 'name', text: '\\epsilon' }),
])

/** Single signs; one that is not listed is a word. */
export const SIGNS: ReadonlyMap<string, readonly Mark[]> = new Map<string, readonly Mark[]>([
  ...all('. ~ ` " \u201c \u201d'),
  ...all('+', { kind: 'operator', text: '+' }),
  ...all('- − – —', { kind: 'operator', text: '-' }),
  ...all('* × · ⋅ ∙ ∗', { kind: 'operator', text: '*' }),
  ...all('/ ÷ ∕ ⁄ :', { kind: 'operator', text: '/' }),
  ...all('^', { kind: 'operator', text: '^' }),
  ...all('_', { kind: 'operator', text: '_' }),
  ...all('!', { kind: 'operator', text: '!' }),
  ...all('±', { kind: 'operator', text: '±' }),
  ...all('∓', { kind: 'operator', text: '∓' }),
  ...all('|', { kind: 'bar', text: '|' }),
  ...[...'([{⟨'].map((sign) => [sign, [{ kind: 'open', text: sign }]] as const),
  ...[...')]}⟩'].map((sign) => [sign, [{ kind: 'close', text: sign }]] as const),
  ...all('= ≈', { kind: 'relation', text: '=' }),
  ...all('<', { kind: 'relation', text: '<' }),
  ...all('≤', { kind: 'relation', text: '≤' }),
  ...all('>', { kind: 'relation', text: '>' }),
  ...all('≥', { kind: 'relation', text: '≥' }),
  ...all('≠', { kind: 'relation', text: '≠' }),
  ...all('∈', { kind: 'relation', text: '∈' }),
  ...all(', ;', { kind: 'separator', text: ',' }),
  ...all('∪', { kind: 'separator', text: '∪' }),
  ...all('&', { kind: 'separator', text: '&' }),
  ...all('∅', ...EMPTY_SET),
  ...all('π', { kind: 'name', text: 'π' }),
  ...all('…', { kind: 'name', text: '…' }),
  ...all('½', ...fractionMarks(1n, 2n)),
  ...all('⅓', ...fractionMarks(1n, 3n)),
  ...all('⅔', ...fractionMarks(2n, 3n)),
  ...all('¼', ...fractionMarks(1n, 4n)),
  ...all('¾', ...fractionMarks(3n, 4n)),
  ...all('∞', { kind: 'name', text: '∞' }),
  ...all('√', { kind: 'command', text: 'sqrt' }),
  ...all('$', { kind: 'word', text: '$' }),
  ...all('%', { kind: 'word', text: '%' }),
  ...all('°', { kind: 'word', text: '°' }),
  ...all('€', { kind: 'word', text: '€' }),
  ...all('£', { kind: 'word', text: '£' }),
  ...all('¢', { kind: 'word', text: '¢' }),
])
