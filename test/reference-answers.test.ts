/** @file Answers of GSM8K, MATH-500 and ProcessBench: found, known again in other spellings, told from wrong ones. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { answersEqual } from '../src/text/answer/equal.ts'
import { extractAnswer } from '../src/text/answer/extract.ts'
import { isSlow } from './slow.ts'

const FOLDER = join(import.meta.dirname, '../../shared/data')

function linesOf(name: string): string[] {
  return readFileSync(join(FOLDER, name), 'utf8').trimEnd().split('\n')
}

function math500(): { problem: string; solution: string; answer: string }[] {
  return linesOf('math500/test.jsonl').map((line) => JSON.parse(line))
}

function gsm8k(part: string): { problem: string; solution: string; answer: string }[] {
  return linesOf(`gsm8k/${part}.jsonl`).map((line) => {
    const { question, answer } = JSON.parse(line)
    return { problem: question, solution: answer, answer: answer.slice(answer.indexOf('####') + 4).trim() }
  })
}

/** An answer written in other ways, by rules that keep its value. */
function spellings(answer: string): string[] {
  const others = [
    answer.replace(/\\[dt]?frac/g, '\\dfrac'),
    answer.replace(/\\[dt]?frac/g, '\\tfrac'),
    answer.replace(/\\[dt]?frac\s?(\d)\s?(\d)(?!\d)/g, '\\frac{$1}{$2}'),
    answer.replace(/\\d?frac\{(\d+)\}\{(\d+)\}$/, (fraction, a, b) => (/^-?\\/.test(answer) ? `${a}/${b}` : fraction)),
    answer.replace(/\\left|\\right/g, ''),
    answer.replace(/^\(/, '\\left(').replace(/\)$/, '\\right)'),
    answer.replace(/\s+/g, answer.includes('\\text') || answer.includes('\\cot') ? ' ' : ''),
    answer.replace(/([-+=&]|,(?!\\|\d{3})|\\cup|\\pm)/g, ' $1 '),
    answer.replace(/\\sqrt\{(\d)\}/g, '\\sqrt$1'),
    answer.replace(/\\pi(?![a-z])/g, 'π'),
    answer.replace(/\\(?:text|mbox)\{([^{}]*)\}/g, '\\mathrm{$1}'),
    answer.replace('^\\circ', '^{\\circ}'),
    answer.replace('^\\circ', '°'),
    answer.replace('^\\circ', '\\text{ degrees}'),
    answer.replace(/_(\d+)$/, '_{$1}'),
    answer.replaceAll('pmatrix', 'bmatrix'),
    `$${answer.replaceAll('\\$', '')}$`,
    `\\boxed{${answer}}`,
    `\\displaystyle ${answer}`,
    ` ${answer}. `,
  ]
  if (!/[=<]|\\in/.test(answer)) others.push(`x = ${answer}`)
  if (/^[-\d]+(?:, ?[-\d]{1,2})+$/.test(answer)) others.push(answer.split(',').reverse().join(' , '))
  const digits = answer.replace(/,(?:\\!\s?)?(?=\d{3})/g, '')
  if (/^-?\d*\.?\d+$/.test(digits)) others.push(...numberSpellings(digits))
  return others
}

function numberSpellings(digits: string): string[] {
  const [whole, decimals = ''] = digits.replace('-', '').split('.')
  const sign = digits.startsWith('-') ? '-' : ''
  const grouped = (mark: string): string => sign + whole.replace(/\B(?=(?:\d{3})+$)/g, mark)
  const tail = decimals === '' ? '' : `.${decimals}`
  const doubled = `${2n * BigInt(whole + decimals)}`
  return [
    grouped(',') + tail,
    grouped('{,}') + tail,
    grouped(',\\!') + tail,
    `${sign}${whole}.${decimals}00`,
    `${sign}${whole}${decimals}/1${'0'.repeat(decimals.length)}`,
    `${sign}\\frac{${doubled}}{2${'0'.repeat(decimals.length)}}`,
    `${digits} \\times 100\\%`,
    `${digits}\\%`,
    `\\$${digits}`,
    `$${digits}`,
    `${digits} dollars`,
    `${digits} apples`,
    `${digits} \\text{ cm}^2`,
    `${digits} miles per hour`,
    `${digits}e0`,
    `${digits} \\times 10^0`,
  ]
}

/** Answers of other values: the last or first digit changed, the sign, the order of what is ordered. */
function perturbed(answer: string): string[] {
  const next = (digit: string): string => String((Number(digit) + 1) % 10)
  const wrong = [answer.replace(/\d/, next), answer.replace(/\d(?=\D*$)/, next)]
  if (/^(?:\d|\\d?frac|\\sqrt|\\pi)/.test(answer) && !/,\s*-|^0$/.test(answer)) wrong.push(`-${answer}`)
  if (answer.startsWith('-')) wrong.push(answer.slice(1))
  const pair = /^\((?:\\left)?([^,]+),([^,]+)\)$/.exec(answer)
  if (pair !== null) wrong.push(`(${pair[2]},${pair[1]})`)
  if (/^\(.*\]$/.test(answer)) wrong.push(answer.replace('(', '['))
  return wrong.filter((other) => other !== answer)
}

/** The pairs of MATH-500's answers that are equal, in its order. */
const SAME = [
  ['90^\\circ', '90'],
  ['5', 'x=5'],
  ['1,-2', '-2,1'],
  ['40_9', '40'],
  ['(-2,1)', '-2,1'],
  ['120^\\circ', '120'],
  ['36', '36^\\circ'],
  ['36', '\\$36'],
  ['\\frac{1}{4}', '\\frac14'],
  ['30^\\circ', '30'],
  ['10,\\!080', '10080'],
  ['15', '15\\mbox{ cm}^2'],
  ['2 \\sqrt{5}', '2\\sqrt{5}'],
]

describe.skipIf(!existsSync(FOLDER))('reference answers', () => {
  test.each([
    ['MATH-500', math500],
    ['GSM8K, test', () => gsm8k('test')],
    ['GSM8K, training', () => gsm8k('train').filter((_, row) => isSlow || row % 20 === 0)],
  ])('%s: every one is extracted as the data set has it', (_, read) => {
    const missed = read().filter(({ solution, answer }) => extractAnswer(solution) !== answer.trim())
    expect(missed.map(({ answer }) => answer)).toEqual([])
  })

  /** Whole numbers are much alike: one in twelve, unless everything is run. */
  const answers = (): string[] => {
    const all = [...new Set([...math500(), ...gsm8k('test')].map(({ answer }) => answer))]
    return all.filter((answer, at) => isSlow || at % 12 === 0 || !/^\d+$/.test(answer))
  }

  test('each is equal to itself in every other spelling', () => {
    const missed = answers().flatMap((answer) => spellings(answer).filter((other) => !answersEqual(answer, other)))
    expect(missed).toEqual([])
  })

  test('none is equal to itself with a digit, its sign or its order changed', () => {
    const taken = answers().flatMap((answer) =>
      perturbed(answer)
        .filter((other) => answersEqual(answer, other))
        .map((other) => `${answer} = ${other}`),
    )
    expect(taken).toEqual([])
  })

  test('two answers of MATH-500 are equal only where they differ in spelling or one leaves something open', () => {
    const spelled = [...new Set(math500().map(({ answer }) => answer))]
    const some = spelled.filter((answer, row) => isSlow || row % 6 === 0 || SAME.some((pair) => pair.includes(answer)))
    const equal = some.flatMap((a, at) =>
      some
        .slice(at + 1)
        .filter((b) => answersEqual(a, b))
        .map((b) => [a, b]),
    )
    expect(equal).toEqual(SAME)
  })
})

interface Row {
  readonly id: string
  readonly problem: string
  readonly steps: readonly string[]
  readonly final_answer_correct: boolean
}

describe.skipIf(!existsSync(FOLDER))('ProcessBench says of solutions whether their final answer is right', () => {
  const bare = (text: string): string => text.replace(/\s/g, '')
  const solutions = (name: string): Row[] => JSON.parse(readFileSync(join(FOLDER, `processbench/${name}.json`), 'utf8'))
  let references: ReadonlyMap<string, string>

  beforeAll(() => {
    references = new Map([...math500(), ...gsm8k('test')].map(({ problem, answer }) => [bare(problem), answer]))
  })

  /** Ids of the solutions that are flagged otherwise than they are found, and how many were looked at. */
  function compare(
    name: string,
    fallback: 'none' | 'last-number',
  ): { count: number; right: string[]; wrong: string[] } {
    const found = { count: 0, right: [] as string[], wrong: [] as string[] }
    for (const { id, problem, steps, final_answer_correct } of solutions(name)) {
      const reference = references.get(bare(problem))
      if (reference === undefined) continue
      found.count++
      const answer = extractAnswer(steps.join('\n\n'), { fallback })
      const isRight = answer !== null && answersEqual(answer, reference)
      if (isRight !== final_answer_correct) found[isRight ? 'right' : 'wrong'].push(id)
    }
    return found
  }

  // Found right: gsm8k-70 and -74 end with the reference's number; in math-392, 1/(sin x cos x) − tan x is cot x.
  // Found wrong: without the fallback, where no answer is stated; with it, where more than a number is.
  test.each([
    { name: 'gsm8k', fallback: 'none', count: 400, right: ['gsm8k-70', 'gsm8k-74'], wrong: 14 },
    { name: 'gsm8k', fallback: 'last-number', count: 400, right: ['gsm8k-70', 'gsm8k-74'], wrong: 4 },
    { name: 'math', fallback: 'none', count: 112, right: ['math-392'], wrong: 3 },
    { name: 'math', fallback: 'last-number', count: 112, right: ['math-392'], wrong: 1 },
  ] as const)('$name, fallback $fallback: $wrong of $count are found wrong that are flagged right', (expected) => {
    const { wrong, ...found } = compare(expected.name, expected.fallback)
    expect({ ...found, wrong: wrong.length }).toEqual({
      count: expected.count,
      right: expected.right,
      wrong: expected.wrong,
    })
  })
})
