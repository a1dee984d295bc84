/**
 * @file Prints the equations that the arithmetic judge rejects in a ProcessBench file, for reading by eye:
 * `tsx scripts/show-rejections.ts FILE [N] [SEED]` prints N of them in random order (0: all, in the file's order).
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { permutation, random } from '../src/base/random.ts'
import { arithmeticJudge } from '../src/judge/arithmetic/judge.ts'

interface Row {
  readonly problem: string
  readonly steps: readonly string[]
  readonly label: number
}

const [file, count = '0', seed = '0'] = process.argv.slice(2)
if (file === undefined) throw new Error('usage: tsx scripts/show-rejections.ts FILE [N] [SEED]')
const rows: readonly Row[] = JSON.parse(readFileSync(file, 'utf8'))
const judge = arithmeticJudge()
const lines: string[] = []
for (const [index, row] of rows.entries()) {
  const { steps } = await judge.judge(row, new AbortController().signal)
  steps.forEach((verdict, step) => {
    if (verdict.state !== 'scored' || verdict.label !== 'incorrect') return
    lines.push(`${basename(file)}:${index}:${step} (label ${row.label}) ${verdict.why}\n    ${row.steps[step]}\n`)
  })
}
const order =
  Number(count) > 0 ? [...permutation(lines.length, random(Number(seed)))].slice(0, Number(count)) : lines.keys()
for (const at of order) console.log(lines[at])
console.log(`${lines.length} rejected`)
