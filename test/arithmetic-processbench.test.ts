/** @file The arithmetic judge on ProcessBench (Zheng et al., 2412.06559): it must not cry wolf. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { arithmeticJudge } from '../src/judge/arithmetic/judge.ts'

const FOLDER = join(import.meta.dirname, '../../shared/data/processbench')

interface Row {
  readonly problem: string
  readonly steps: readonly string[]
  /** The first wrong step; -1: none. */
  readonly label: number
}

/** The first step that the judge rejects, -1 where it rejects none, for each row. */
async function firstAlarms(rows: readonly Row[]): Promise<number[]> {
  const judge = arithmeticJudge()
  const signal = new AbortController().signal
  const judged = await Promise.all(rows.map((row) => judge.judge(row, signal)))
  return judged.map(({ steps }) => steps.findIndex((step) => step.state === 'scored' && step.label === 'incorrect'))
}

describe.skipIf(!existsSync(FOLDER))('ProcessBench', () => {
  test.each(['gsm8k', 'math'])(
    '99 %% of the right solutions of %s raise no alarm, and some errors are found',
    async (name) => {
      const rows: readonly Row[] = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'))
      const alarms = await firstAlarms(rows)
      const isRight = (at: number): boolean => alarms[at] === rows[at].label
      const right = [...rows.keys()].filter((at) => rows[at].label === -1)
      const wrong = [...rows.keys()].filter((at) => rows[at].label !== -1)
      const share = (indices: readonly number[]): number => indices.filter(isRight).length / indices.length
      expect(share(right)).toBeGreaterThanOrEqual(0.99)
      expect(share(wrong)).toBeGreaterThan(0.06) // what is wrong in most wrong solutions is not the arithmetic
    },
  )
})
