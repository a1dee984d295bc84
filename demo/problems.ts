/**
 * @file Word problems of two to five additions and subtractions with solutions in steps, clean or sloppy. Problems for
 * training, for pairs and for tests are different ones: the hash of its text says which a problem is for.
 */
import { sha256 } from '../src/base/hash.ts'
import { type Random, random } from '../src/base/random.ts'

export interface Problem {
  readonly question: string
  readonly answer: number
  readonly person: Person
  readonly things: string
  readonly start: number
  readonly moves: readonly Move[]
}

interface Person {
  readonly name: string
  readonly pronoun: 'She' | 'He'
}

/** Something that adds to what there is, or takes from it. */
interface Move {
  readonly verb: string
  readonly amount: number
  readonly sign: 1 | -1
}

/** What a problem is for, with its share of all problems in percent. */
const USES = { training: [0, 80], pairs: [80, 90], test: [90, 100] } as const
export type Use = keyof typeof USES

/** How often a carry or a borrow that is needed is forgotten, and how often a whole solution has another slip. */
const FORGOTTEN_CARRY = 0.6
const FORGOTTEN_BORROW = 0.3
const SLIP = 0.06

const PEOPLE: readonly Person[] = [
  ...['Ana', 'Cleo', 'Eva', 'Gia', 'Ines', 'Mia'].map((name) => ({ name, pronoun: 'She' as const })),
  ...['Ben', 'Dan', 'Finn', 'Hugo', 'Jon', 'Leo'].map((name) => ({ name, pronoun: 'He' as const })),
]
const THINGS = ['pens', 'apples', 'cards', 'coins', 'books', 'shells', 'stamps', 'marbles', 'stones', 'tickets']
const GAINS = ['gets', 'finds', 'buys', 'wins', 'borrows', 'collects']
const LOSSES = ['gives away', 'loses', 'sells', 'lends', 'drops', 'throws out']
const OPENINGS = [
  '@ has # %.',
  '@ starts with # %.',
  '@ owns # %.',
  'In the morning, @ has # %.',
  'There are # % in the box of @.',
]
const LINKS = ['', 'Then ', 'Later ', 'After that ', 'Next ']
const QUESTIONS = [
  'How many % are there now?',
  'How many % does @ have in the end?',
  'How many % are left?',
  'What is the number of % now?',
]
/** What there is stays between these, so that sloppy results have two or three digits and no sign. */
const LEAST = 25
const MOST = 120

/** Problem `index` of a seed for a use: the first of its stream that is for it. */
export function makeProblem(seed: number, use: Use, index: number): Problem {
  const source = random(seed, 'problem', use, index)
  const [from, to] = USES[use]
  for (;;) {
    const problem = drawProblem(source)
    const place = Number.parseInt(sha256(problem.question).slice(0, 8), 16) % 100
    if (place >= from && place < to) return problem
  }
}

function drawProblem(source: Random): Problem {
  const person = pick(PEOPLE, source)
  const things = pick(THINGS, source)
  const start = LEAST + source.below(55)
  const moves: Move[] = []
  let value = start
  for (let left = 2 + source.below(4); left > 0; left--) {
    const move = drawMove(value, source)
    moves.push(move)
    value += move.sign * move.amount
  }
  const fill = (text: string): string => text.replace('@', person.name).replace('#', String(start)).replace('%', things)
  const told = moves.map(({ verb, amount }, at) => {
    const link = at === 0 ? '' : pick(LINKS, source)
    const who =
      at === 0 || source.below(3) === 0 ? person.name : link === '' ? person.pronoun : person.pronoun.toLowerCase()
    return `${link}${who} ${verb} ${amount}${source.below(2) === 0 ? ` ${things}` : ''}.`
  })
  const question = [fill(pick(OPENINGS, source)), ...told, fill(pick(QUESTIONS, source))].join(' ')
  return { question, answer: value, person, things, start, moves }
}

function drawMove(value: number, source: Random): Move {
  const amount = source.below(4) === 0 ? 10 * (1 + source.below(3)) : 2 + source.below(8)
  const gains = value - amount < LEAST || (value + amount <= MOST && source.below(2) === 0)
  return gains ? { verb: pick(GAINS, source), amount, sign: 1 } : { verb: pick(LOSSES, source), amount, sign: -1 }
}

/** The steps of a solution, one a line, without a mistake. */
export function cleanSolution(problem: Problem): string {
  return writeSolution(problem, problem.start, problem.moves, ({ sign, amount }, value) => value + sign * amount)
}

/**
 * A solution as text in the wild has them: carries are forgotten more often than not, borrows now and then, and sometimes
 * a number is copied wrongly or a step left out. What follows a slip is true to it.
 */
export function sloppySolution(problem: Problem, source: Random): string {
  const moves = [...problem.moves]
  if (source.uniform() < SLIP) {
    const at = source.below(moves.length)
    if (source.below(2) === 0) moves.splice(at, 1)
    else moves[at] = { ...moves[at], amount: miscopied(moves[at].amount, source) }
  }
  return writeSolution(problem, problem.start, moves, (move, value) => {
    const units = (value % 10) + move.sign * move.amount
    const isHard = move.amount < 10 && (units > 9 || units < 0)
    const result = value + move.sign * move.amount
    const sloppy = result - 10 * move.sign
    const forgotten = move.sign > 0 ? FORGOTTEN_CARRY : FORGOTTEN_BORROW
    return isHard && sloppy >= 10 && source.uniform() < forgotten ? sloppy : result
  })
}

function miscopied(amount: number, source: Random): number {
  return amount > 9 ? amount / 10 : 2 + ((amount - 1 + source.below(7)) % 8)
}

function writeSolution(
  { person, things }: Problem,
  start: number,
  moves: readonly Move[],
  calculate: (move: Move, value: number) => number,
): string {
  let value = start
  const lines = moves.map((move) => {
    const result = calculate(move, value)
    const line = `${person.pronoun} ${move.verb} ${move.amount}: ${value} ${move.sign > 0 ? '+' : '-'} ${move.amount} = ${result} ${things}.`
    value = result
    return line
  })
  return [...lines, `The answer is ${value}.`].join('\n')
}

function pick<T>(items: readonly T[], source: Random): T {
  return items[source.below(items.length)]
}
