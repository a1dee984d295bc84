/** @file Word problems with random numbers and the calculations that solve them. Knows nothing of ratings. */
import type { Random } from '../src/base/random.ts'

/** One calculation, and sentences that state it: `@` stands for the equation, `#` for its result. */
export interface Calculation {
  readonly left: number
  readonly operator: '+' | '-' | '*' | '/'
  readonly right: number
  readonly sentences: readonly string[]
}

export interface WordProblem {
  readonly text: string
  /** The last result is the answer. */
  readonly calculations: readonly Calculation[]
  /** A true sentence that brings the solution no further. */
  readonly remark: string
}

const NAMES = ['Ada', 'Ben', 'Cleo', 'Dan', 'Eva', 'Finn', 'Gita', 'Hugo', 'Ines', 'Jon', 'Kaya', 'Leo']

export function resultOf({ left, operator, right }: Omit<Calculation, 'sentences'>): number {
  return { '+': left + right, '-': left - right, '*': left * right, '/': left / right }[operator]
}

/** Each makes a problem from a stream of random numbers. All results are whole and positive. */
export const wordProblems: readonly ((source: Random) => WordProblem)[] = [buy, save, collect, bind, ride, bake]

function calculation(
  left: number,
  operator: Calculation['operator'],
  right: number,
  sentences: readonly string[],
): Calculation {
  return { left, operator, right, sentences }
}

/** A whole number from `low` to `high`. */
function between(low: number, high: number, source: Random): number {
  return low + source.below(high - low + 1)
}

function nameFrom(source: Random): string {
  return NAMES[source.below(NAMES.length)]
}

function buy(source: Random): WordProblem {
  const name = nameFrom(source)
  const count = between(3, 9, source)
  const price = between(4, 19, source)
  const pen = between(5, 48, source)
  return {
    text:
      `${name} buys ${count} notebooks for ${price} coins each and a pen for ${pen} coins. ` +
      `How many coins does ${name} pay?`,
    calculations: [
      calculation(count, '*', price, ['The notebooks cost @ coins.', 'For the notebooks alone, @.']),
      calculation(count * price, '+', pen, [
        `With the pen, ${name} pays @ coins.`,
        'Adding the pen, @, so the price is # coins.',
      ]),
    ],
    remark: `The question asks how many coins ${name} pays.`,
  }
}

function save(source: Random): WordProblem {
  const name = nameFrom(source)
  const weeks = between(4, 12, source)
  const coins = between(6, 18, source)
  const spent = between(5, weeks * coins - 1, source)
  return {
    text:
      `${name} saves ${coins} coins every week for ${weeks} weeks and then spends ${spent} coins. ` +
      `How many coins are left?`,
    calculations: [
      calculation(coins, '*', weeks, [`In ${weeks} weeks ${name} saves @ coins.`, 'The savings are @ coins.']),
      calculation(coins * weeks, '-', spent, ['After spending, @ coins are left.', `${name} keeps @ coins.`]),
    ],
    remark: `${name} saves the same amount every week.`,
  }
}

function collect(source: Random): WordProblem {
  const name = nameFrom(source)
  const start = between(15, 80, source)
  const packs = between(2, 8, source)
  const size = between(5, 15, source)
  const all = start + packs * size
  const given = between(6, 24, source)
  return {
    text:
      `${name} has ${start} stickers, opens ${packs} packs of ${size} stickers and gives ${given} stickers away. ` +
      `How many stickers does ${name} have now?`,
    calculations: [
      calculation(packs, '*', size, ['The packs hold @ stickers.', `${name} gets @ new stickers.`]),
      calculation(start, '+', packs * size, [
        'Together with the old ones that is @ stickers.',
        `Now ${name} has @ stickers.`,
      ]),
      calculation(all, '-', given, [
        'After giving some away, @ stickers remain.',
        `That leaves ${name} with @ stickers.`,
      ]),
    ],
    remark: `${name} begins with ${start} stickers.`,
  }
}

function bind(source: Random): WordProblem {
  const rows = between(4, 9, source)
  const length = between(6, 14, source)
  const size = between(3, 6, source)
  const bunches = between(2, Math.floor((rows * length - 1) / size), source)
  const wilted = rows * length - bunches * size
  return {
    text:
      `A gardener grows ${rows} rows of ${length} tulips. Of these, ${wilted} wilt, and ` +
      `the rest are tied into bunches of ${size}. How many bunches are there?`,
    calculations: [
      calculation(rows, '*', length, ['The gardener grows @ tulips.', 'The rows hold @ tulips.']),
      calculation(rows * length, '-', wilted, [
        'Of these, @ do not wilt.',
        'Without the wilted ones, @ tulips are left.',
      ]),
      calculation(bunches * size, '/', size, [
        'They make @ bunches.',
        'Tied together, that is @, so there are # bunches.',
      ]),
    ],
    remark: 'Wilted tulips are not tied into bunches.',
  }
}

function ride(source: Random): WordProblem {
  const start = between(12, 40, source)
  const on = [between(3, 19, source), between(4, 18, source)]
  const off = [between(2, start, source), between(2, 6, source)]
  const after = [start + on[0], start + on[0] - off[0], start + on[0] - off[0] + on[1]]
  return {
    text:
      `A bus leaves with ${start} people. ` +
      `At the first stop ${on[0]} get on and ${off[0]} get off, ` +
      `at the second ${on[1]} get on and ${off[1]} get off. How many people are on the bus now?`,
    calculations: [
      calculation(start, '+', on[0], [
        'When the first people get on, there are @.',
        'The first stop brings it to @ people.',
      ]),
      calculation(after[0], '-', off[0], ['Then some get off: @.', 'After the first stop @ people are left.']),
      calculation(after[1], '+', on[1], ['At the second stop it becomes @.', 'More people get on: @.']),
      calculation(after[2], '-', off[1], [
        'In the end @ people are on the bus.',
        'The last ones get off: @, so # people are on the bus.',
      ]),
    ],
    remark: 'The bus stops twice.',
  }
}

function bake(source: Random): WordProblem {
  const trays = [between(3, 8, source), between(2, 7, source)]
  const rolls = [between(6, 12, source), between(5, 11, source)]
  const baked = [trays[0] * rolls[0], trays[1] * rolls[1]]
  const all = baked[0] + baked[1]
  const workers = between(2, 5, source)
  const share = between(2, Math.floor((all - 1) / workers), source)
  const sold = all - workers * share
  return {
    text:
      `A bakery bakes ${trays[0]} trays of ${rolls[0]} rolls in the morning ` +
      `and ${trays[1]} trays of ${rolls[1]} rolls at noon. ` +
      `It sells ${sold} rolls, and ${workers} workers share the rest equally. ` +
      `How many rolls does each worker get?`,
    calculations: [
      calculation(trays[0], '*', rolls[0], ['In the morning it bakes @ rolls.', 'The morning gives @ rolls.']),
      calculation(trays[1], '*', rolls[1], ['At noon it bakes @ rolls.', 'Noon gives @ rolls.']),
      calculation(baked[0], '+', baked[1], ['That makes @ rolls in all.', 'Together, @ rolls.']),
      calculation(all, '-', sold, ['After the sale @ rolls are left.', 'Not sold are @ rolls.']),
      calculation(workers * share, '/', workers, [
        'Each worker gets @ rolls.',
        'Shared equally, @, so each gets # rolls.',
      ]),
    ],
    remark: 'The workers share only what is not sold.',
  }
}
