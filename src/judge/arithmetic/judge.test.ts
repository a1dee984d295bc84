import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSlow } from '../../../test/slow.ts'
import type { StepVerdict } from '../port.ts'
import { arithmeticJudge } from './judge.ts'

async function judge(steps: readonly string[], problem = ''): Promise<readonly StepVerdict[]> {
  const { steps: verdicts } = await arithmeticJudge().judge({ problem, steps }, new AbortController().signal)
  return verdicts
}

/** 1 holds, 0 is false, null abstained. */
async function score(step: string, problem = ''): Promise<number | null> {
  const [verdict] = await judge([step], problem)
  return verdict.state === 'scored' ? verdict.score : null
}

describe('a true equation is found and holds', () => {
  test.each([
    '3 + 4 = 7',
    'Janet sells 16 - 3 - 4 = 9 duck eggs a day.',
    'That is 2*$9 = $18.',
    'He pays <<3*4=12>>12 dollars.',
    'He pays 3*4=<<3*4=12>>12 dollars.',
    '5% of 200 = 10',
    '1/2 * 8 = 4',
    '1/2 of 8 = 4',
    'There are 9 x 2 = 18 wheels.',
    'There are 9x2 = 18 wheels.',
    'Total = 5 + 3 = 8',
    '20% = 0.2 * 1',
    '20% × 50 = 10',
    '20/50 * 100 = 40%',
    '(20/50) × 100% = 40%',
    '100% - 20% = 80%',
    '$3 × 4 = $12',
    '$1,200 + $300 = $1,500',
    '$1{,}200 + 300 = 1{,}500$',
    '\\(\\frac{3}{4} + \\dfrac{1}{4} = 1\\)',
    '\\[ 2 \\cdot 3 \\times 4 \\div 6 = 4 \\]',
    '$2^{10} = 1024$',
    '$2^{-2} = \\frac{1}{4}$',
    '$\\sqrt{16} + \\sqrt[3]{27} = 7$',
    '$2\\sqrt{3} = \\sqrt{12}$',
    '$\\left( \\frac{1}{2} \\right)^2 = 0.25$',
    '$\\binom{5}{2} = \\frac{5!}{2!(5-2)!} = 10$',
    '5 \\text{ boxes} \\times 3 \\text{ pens} = 15 \\text{ pens}',
    '2(3) + 1 = 7',
    '2(3)(4) = 24',
    '1 1/2 + 1 = 2.5',
    '$2\\frac{1}{2} \\cdot 2 = 5$',
    '10/3 = 3.33',
    '2/3 ≈ 0.667',
    '$\\frac{22}{7} \\approx 3.14$',
    '$\\pi \\cdot 4 \\approx 12.57$',
    '12 divided by 4 = 3',
    '3 times 4 plus 1 = 13',
    '\\begin{align*} 3 + 4 &= 7 \\\\ &= 14 / 2 \\end{align*}',
    'Total:\n- 2 * 5 = 10 minutes\n- 3 * 5 = 15 minutes',
    'x = 3 + 4 = 7',
    '2³ = 8',
    'The sum is -3 + 5 = 2',
    '$$\n\\begin{aligned}\n1 + 2 + 3 &= 3 + 3 \\\\\n&= 6\n\\end{aligned}\n$$',
    '$\\boxed{3 + 4} = 7$',
    '$\\frac{1}{2}(3\\text{ cm})(9\\text{ cm}-5\\text{ cm})=6\\text{ cm}^2$',
    '$\\frac{40^\\circ}{360^\\circ}(2)(\\pi)(1)=\\frac{1}{9}(2\\pi)$',
    '$\\frac{1}{2}(180^\\circ - 80^\\circ) = \\frac{1}{2}(100^\\circ)$',
    '60 / 1/2 = 120',
    '12 eggs / 4 people = 3 eggs per person',
  ])('%s', async (step) => {
    expect(await score(step)).toBe(1)
  })
})

describe('a false equation is rejected', () => {
  test.each([
    '3 + 4 = 8',
    'Janet sells 16 - 3 - 4 = 10 duck eggs a day.',
    'That is 2*$9 = $19.',
    'He pays <<3*4=13>>13 dollars.',
    '5% of 200 = 20',
    '1/2 of 8 = 3',
    'There are 9 x 2 = 19 wheels.',
    'Total = 5 + 3 = 9',
    '20/50 * 100 = 50%',
    '$\\frac{3}{4} + \\frac{1}{4} = 2$',
    '$2^{10} = 1000$',
    '$\\sqrt{16} = 5 - 2$',
    '$2\\sqrt{3} = \\sqrt{6}$',
    '$\\binom{5}{2} = 20$',
    '10/3 = 3.43',
    '2/3 ≈ 0.8',
    '2(3) + 1 = 8',
    'The sum is -3 + 5 = 8',
    '8 * 8 = 64, and 8 * 8 = 16',
    '\\begin{align*} 3 + 4 &= 7 \\\\ &= 16 / 2 \\end{align*}',
    '5 \\text{ boxes} \\times 3 \\text{ pens} = 16 \\text{ pens}',
    '3 + 4 = 7 and 7 * 2 = 15',
    '4x - 13 = 4(40) - 13 = 157',
    '(9 + 1) * 5 = 51 (all of them)',
  ])('%s', async (step) => {
    expect(await score(step)).toBe(0)
  })
})

describe('what is no claim about numbers is never rejected', () => {
  test.each([
    '2x + 3 = 7',
    '2x = 10, so x = 5',
    'If x = 3, then x^2 = 9',
    'Suppose 3 + 4 = 8.',
    '3 + 4 = 8 is not true.',
    '3 + 4 = 8. This is a contradiction.',
    'We get 3 + 4 ≠ 8',
    'Does 3 + 4 = 8?',
    '3 * 5 ≡ 1 (mod 7)',
    '3 \\cdot 5 = 1 \\pmod 7',
    '$5 + 4 = 11_8$',
    '$12_3 + 1 = 20_3$',
    'f(2) = 5',
    'f(2) + 1 = 5',
    '$f\\left(2\\right) = 5$',
    'P(A) = 0.5, P(2) = 3',
    'a_1 = 3, a_{10} = 30',
    '$3 = 300 cents',
    '60 minutes = 1 hour',
    '4 hours = 4 * 60 = 240 minutes',
    '2 feet + 6 inches = 30 inches',
    '4 quarters * 1 = $1',
    '4 × 25 cents = $1',
    '1 dozen = 12 eggs',
    '2 dozen * 1 = 24',
    '10/3 = 3 people',
    '7/2 = 4',
    'The ratio is 3:4 = 6:8',
    'At 3:30 = 210 minutes',
    'Read pages 3-5 = 3 pages of the book',
    'The point (3, 4) - 2 = 5',
    'The interval [3, 4] = 2',
    '{1, 2} + 3 = 7',
    '|3 - 5| = 2',
    '⌊7/2⌋ = 3',
    '\\lfloor 7/2 \\rfloor = 3',
    '\\sum_{i=1}^{3} 2 = 6',
    '\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix} = 5',
    'Cost of 3 apples = 12',
    'Day 3 = 4 * 2 = 8',
    'Step 2: 4 * 2 = 8',
    'On 5/12 = Friday',
    'Twice 5 + 3 = 13',
    'The sum of 3 and 4 + 5 = 12',
    'x + 5 + 3 = 10',
    '5 + 3 + tax = 10',
    '5 + 3 = 8 + tax',
    '5 + 3 = 8x',
    'Half of 10 + 2 = 6',
    '1 + 2 + ... + 10 = 55',
    '1 + 2 + \\cdots + 10 = 55',
    '0.333... * 3 = 1',
    '17 / 3 = 5 remainder 2',
    '$355 \\div 6 = 58 \\text{ R } 1$',
    '10 / 4 = 3 (rounded up)',
    '5 + 3 = 8 + 2 = 10',
    '$-3^2 = 9$',
    '$6/2(3) = 1$',
    '3 + 5 = 8!',
    '1/3 = 0.33, so 0.33 * 300 = 100',
    '$\\sin 30^\\circ = 0.5$',
    '$\\log_2 8 = 3$',
    'sin(30) = 0.5',
    '5C2 = 10',
    '5 choose 2 = 10',
    'C(5, 2) = 10',
    '$\\text{lcm}(4, 6) = 12$',
    '2 * x = 10',
    'Profit = 20 - cost = 5',
    'the answer is 72 is x = 2',
    '3 ★ 4 = 11',
    '$3 \\star 4 = 11$',
    '180^\\circ = \\pi',
    '3 million + 2 = 5 million',
    '20 - 20% = 16',
    'x = ±3 + 1 = 4',
    '3 \\cdot 1 = 3 \\) and add up to \\( -4 \\)',
    '2 x $0.10 = $0.20 (20 cents)',
    '\\[ \\frac{1}{2}mnp = 10.5 \\]',
    '$\\frac{1}{2}mnp = 10.5$',
    '\\(3 mnp + 2 = 12\\)',
    '3 ABC + 2 = 12',
    '1 = -3 + \\boxed{\\phantom{2}} + 4',
    '60 / 3/4 = 80',
    'for 25 classmates + his 1 teacher + 1 himself = 27 people',
    'Add 20 + 10 decorations to the 29 + 24 decorations already up = 83',
    '1 - 2/3 = 1/3 of $150',
    '48 = 100% + 20%',
    '$1 / 2 = 50 cents',
    '"5 + 3 = 9", says Tom, but that is wrong.',
  ])('%s', async (step) => {
    expect(await score(step)).not.toBe(0)
  })

  test('an operation that the problem defines is not multiplication', async () => {
    const problem = 'The operation * is defined by a * b = a + 2b. Find 3 * 4.'
    expect(await score('3 * 4 = 11', problem)).not.toBe(0)
  })

  test('a sum in a problem about another base is not called false', async () => {
    expect(await score('7 + 4 = 13', 'Add the numbers in base 8.')).not.toBe(0)
  })
})

describe('values are carried through the solution', () => {
  test('a name that was assigned once is used in a later calculation', async () => {
    const verdicts = await judge([
      'So x = 40.',
      'Stan has 4x - 13 = 160 - 13 = 147.',
      'Stan has 4x - 13 = 170 - 13 = 157.',
    ])
    expect(verdicts.map((verdict) => (verdict.state === 'scored' ? verdict.score : null))).toEqual([null, 1, 0])
  })

  test('a name that was assigned two values is not used any more', async () => {
    const verdicts = await judge(['So x = 40.', 'So x = 41.', 'Stan has 4x - 13 = 170 - 13 = 157.'])
    expect(verdicts[2]).toMatchObject({ state: 'scored', score: 1, why: '170 - 13 = 157 holds' })
  })

  test('an equation that is yet to be solved is not compared with a value found before', async () => {
    const verdicts = await judge(['r = 0', '5r - 44 = 0 \\implies r = \\frac{44}{5}', '0.07r = 0.07 * 9'])
    expect(verdicts.map(({ state }) => state)).toEqual(['abstained', 'abstained', 'abstained'])
  })

  test('a supposed value is not remembered', async () => {
    const verdicts = await judge(['If x = 40, he is late.', '2x = 2x + 0 = 100'])
    expect(verdicts[1].state).toBe('abstained')
  })
})

describe('verdicts', () => {
  test('a rejection quotes the equation and says the value', async () => {
    expect(await judge(['So 8 * 8 = 16 in all.'])).toEqual([
      { state: 'scored', score: 0, label: 'incorrect', why: '8 * 8 = 16: 8 * 8 is 64' },
    ])
  })

  test('a step without an equation between numbers is abstained from', async () => {
    expect(await judge(['Let us think.', ''])).toEqual([
      { state: 'abstained', why: 'no equation between numbers' },
      { state: 'abstained', why: 'no equation between numbers' },
    ])
  })

  test('steps after a false one are judged by their own equations', async () => {
    const verdicts = await judge(['1 + 1 = 3', '2 + 2 = 4', '3 + 3 = 7'])
    expect(verdicts.map((verdict) => verdict.state === 'scored' && verdict.score)).toEqual([0, 1, 0])
  })

  test('a step has the same verdict whatever steps follow it', async () => {
    const steps = ['So x = 40.', '4x - 13 = 160 - 13 = 147', 'x = 3', '3 + 4 = 8']
    const all = await judge(steps)
    for (let count = 1; count <= steps.length; count++) {
      expect(await judge(steps.slice(0, count))).toEqual(all.slice(0, count))
    }
  })

  test('a stopped run scores nothing', async () => {
    const { steps } = await arithmeticJudge().judge({ problem: '', steps: ['1 + 1 = 2'] }, AbortSignal.abort())
    expect(steps).toMatchObject([{ state: 'failed', kind: 'stopped' }])
  })
})

/** An expression with its exact value as num / den, written in plain text and in LaTeX. */
interface Sample {
  readonly plain: string
  readonly latex: string
  readonly num: bigint
  readonly den: bigint
  /** 3 for a number or brackets, 2 for a product, 1 for a sum. */
  readonly level: number
}

const whole: fc.Arbitrary<Sample> = fc
  .integer({ min: 1, max: 60 })
  .map((n) => ({ plain: String(n), latex: String(n), num: BigInt(n), den: 1n, level: 3 }))

function wrap(sample: Sample, level: number): Sample {
  if (sample.level >= level) return sample
  return { ...sample, plain: `(${sample.plain})`, latex: `\\left( ${sample.latex} \\right)`, level: 3 }
}

function combine(sign: string, a: Sample, b: Sample): Sample {
  switch (sign) {
    case '+':
    case '-': {
      const right = wrap(b, 2)
      const num = sign === '+' ? a.num * b.den + b.num * a.den : a.num * b.den - b.num * a.den
      const [plain, latex] = [`${a.plain} ${sign} ${right.plain}`, `${a.latex} ${sign} ${right.latex}`]
      return { plain, latex, num, den: a.den * b.den, level: 1 }
    }
    case '*': {
      const [left, right] = [wrap(a, 2), wrap(b, 3)]
      const latex = `${left.latex} \\cdot ${right.latex}`
      return { plain: `${left.plain} * ${right.plain}`, latex, num: a.num * b.num, den: a.den * b.den, level: 2 }
    }
    default: {
      const [left, right] = [wrap(a, 2), wrap(b, 3)]
      const flip = b.num < 0n ? -1n : 1n
      const [num, den] = [a.num * b.den * flip, a.den * b.num * flip]
      return { plain: `${left.plain} / ${right.plain}`, latex: `\\frac{${a.latex}}{${b.latex}}`, num, den, level: 2 }
    }
  }
}

const { sample } = fc.letrec<{ sample: Sample }>((tie) => ({
  sample: fc.oneof(
    { maxDepth: 4 },
    whole,
    fc
      .tuple(fc.constantFrom('+', '-', '*', '/'), tie('sample'), tie('sample'))
      .filter(([sign, , b]) => sign !== '/' || b.num !== 0n)
      .map(([sign, a, b]) => combine(sign, a, b)),
  ),
}))

/** A fraction as a side of an equation that calculates nothing else. */
function written(num: bigint, den: bigint): string {
  return num < 0n ? `-(${-num}/${den})` : `${num}/${den}`
}

describe('any expression', () => {
  test('equals its value, written in plain text or in LaTeX', async () => {
    await fc.assert(
      fc.asyncProperty(sample, async ({ plain, latex, num, den, level }) => {
        fc.pre(level < 3) // "So 5 = 5/1" may be a heading
        expect(await score(`So ${plain} = ${written(num, den)}.`)).toBe(1)
        expect(await score(`\\[ ${latex} = ${written(num, den)} \\]`)).toBe(1)
      }),
      { numRuns: 150 },
    )
  })

  test('is not another value', async () => {
    // Off by a third of itself and 1: no reading, no rounding explains it.
    await fc.assert(
      fc.asyncProperty(sample, async ({ plain, latex, num, den, level }) => {
        fc.pre(level < 3)
        const wrong = written((num < 0n ? -num : num) * 4n + 3n * den, 3n * den)
        expect(await score(`So ${plain} = ${wrong}.`)).toBe(0)
        expect(await score(`\\[ ${latex} = ${wrong} \\]`)).toBe(0)
      }),
      { numRuns: 150 },
    )
  })

  test('no text makes the judge throw', async () => {
    const piece = fc.constantFrom(
      ...'0 1 12 3.5 ( ) { } [ ] + - * / ^ ! % = ≈ < $ \\frac \\sqrt \\( \\[ \\] \\\\ & _ x a , . : \n of and <<2*3=6>> | \\text{cm} \\begin{align} 2⁵ ** \\left'.split(
        ' ',
      ),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(piece, fc.string({ maxLength: 3 })), { maxLength: 60 }), async (pieces) => {
        for (const glue of ['', ' ']) expect(await judge([pieces.join(glue)])).toHaveLength(1)
      }),
      { numRuns: 200 },
    )
  })
})

const HOSTILE_LENGTH = isSlow ? 100_000 : 25_000

describe('hostile text takes bounded time', () => {
  test.each([
    ['1+', ''],
    ['1+1=3 not. ', ''],
    ['1=', ''],
    ['(', ''],
    ['{', '}'],
    ['\\frac{1}{', '}'],
    ['9', '=9'],
    ['9^', '9=9'],
    ['2*x = ', ''],
    ['1 = 1 and ', ''],
    ['a b c ', '= 3'],
    ['-', '1 = 1'],
    ['<<', ''],
    ['\\text{', ''],
    ['\n', '= 1'],
    ['1/3+', '1 = 2'],
    ['99!*', '1 = 2'],
    ['1.25*1.33=9.99999 about ', ''],
    ['x_', ''],
    ['1,', '111=1'],
    ['\\left', ''],
    [' ', '=1'],
    ['((1)', ''],
    ['5 miles / ', '= 3'],
    ['0', '1 = 1'],
  ])('%j', async (unit, end) => {
    const step = unit.repeat(Math.floor(HOSTILE_LENGTH / unit.length)) + end
    const start = performance.now()
    await judge([step])
    expect(performance.now() - start).toBeLessThan(30_000) // what is quadratic takes minutes
  })
})
