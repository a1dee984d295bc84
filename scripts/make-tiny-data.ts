/** @file Writes step-labelled word problems: npx tsx scripts/make-tiny-data.ts --problems 200 --seed 0 --out tiny.jsonl */
import { parseArgs } from 'node:util'
import { messageOf, UsageError } from '../src/base/errors.ts'
import { writeDurably } from '../src/base/files.ts'
import { makeTinyRow } from './tiny-data.ts'

const MAX_PROBLEMS = 1_000_000

function main(): void {
  const { values } = parseArgs({
    options: {
      problems: { type: 'string', default: '200' },
      seed: { type: 'string', default: '0' },
      out: { type: 'string', default: 'tiny.jsonl' },
    },
  })
  const count = wholeNumber('problems', values.problems, MAX_PROBLEMS)
  const seed = wholeNumber('seed', values.seed, Number.MAX_SAFE_INTEGER)
  writeDurably(values.out, lines(seed, count))
  console.log(`${values.out}: ${count} problems`)
}

function* lines(seed: number, count: number): Generator<string> {
  for (let index = 0; index < count; index++) yield JSON.stringify(makeTinyRow(seed, index)) + '\n'
}

function wholeNumber(name: string, value: string, maximum: number): number {
  if (/^\d+$/.test(value) && Number(value) <= maximum) return Number(value)
  throw new UsageError(`--${name}: expected a whole number up to ${maximum}, found ${value}`)
}

try {
  main()
} catch (error) {
  console.error(messageOf(error))
  process.exitCode = error instanceof UsageError ? 2 : 1
}
