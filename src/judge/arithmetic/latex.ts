/** @file What the commands of LaTeX mean to arithmetic. */
import type { Mark } from './token.ts'

function table(entries: readonly (readonly [string, Mark | null])[]): ReadonlyMap<string, Mark | null> {
  return new Map(entries)
}

function all(names: string, mark: Mark | null): (readonly [string, Mark | null])[] {
  return names.split(' ').map((name) => [name, mark] as const)
}

/** Commands whose argument in braces is words. */
export const TEXT_COMMANDS: ReadonlySet<string> = new Set(
  'text textrm textbf textit mathrm mbox textnormal operatorname mathbf textsf'.split(' '),
)

/** Environments that only lay equations out. */
export const LAYOUTS: ReadonlySet<string> = new Set(
  'align align* aligned equation equation* gather gather* gathered split multline multline* alignat alignat*'.split(
    ' ',
  ),
)

/** Greek letters and the like that stand for variables. */
const LETTERS =
  'alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau phi varphi chi psi omega Delta Gamma Theta Lambda Phi Psi Omega ell'

/** Commands between which letters are variables, and those that end that. */
export const MATH_STARTS: ReadonlySet<string> = new Set(['(', '['])
export const MATH_ENDS: ReadonlySet<string> = new Set([')', ']'])

/** Command → its mark; null: nothing but space or looks. A command that is not listed is unknown. */
export const COMMANDS: ReadonlyMap<string, Mark | null> = table([
  ...all('left right big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle limits', null),
  ...all('! , ; : > enspace thinspace', null),
  ...all('$ ( )', null),
  ...all('[ ] \\ quad qquad newline hline', { kind: 'stop', text: '\n' }),
  ...all('frac dfrac tfrac cfrac', { kind: 'command', text: 'frac' }),
  ...all('binom dbinom tbinom', { kind: 'command', text: 'binom' }),
  ['sqrt', { kind: 'command', text: 'sqrt' }],
  ...all('cdot times ast', { kind: 'operator', text: '*' }),
  ['div', { kind: 'operator', text: '/' }],
  ['%', { kind: 'operator', text: '%' }],
  ['pi', { kind: 'pi', text: 'π' }],
  ...all('approx simeq approxeq', { kind: 'relation', text: '≈' }),
  ...all(
    'ne neq le leq leqslant ge geq geqslant lt gt ll gg equiv cong sim propto to rightarrow Rightarrow implies iff Longrightarrow longrightarrow Leftrightarrow Longleftrightarrow mapsto in mid perp parallel subset cap cup',
    { kind: 'relation', text: 'other' },
  ),
  ...all('{ lbrace lparen', { kind: 'open', text: '{set' }),
  ...all('} rbrace rparen', { kind: 'close', text: '}set' }),
  ...all('lbrack', { kind: 'open', text: '[' }),
  ...all('rbrack', { kind: 'close', text: ']' }),
  ...LETTERS.split(' ').map((name) => [name, { kind: 'name', text: '\\' + name } as const] as const),
])
