/** @file A judge whose scores go through a fitted map, so that they are chances. */
import { readFileSync } from 'node:fs'
import { InputError, messageOf, UserError } from '../base/errors.ts'
import { sha256 } from '../base/hash.ts'
import { parseJson } from '../base/lines.ts'
import { type Calibration, calibrate, calibrationSchema } from '../eval/calibration.ts'
import type { MergedVerdict, StepJudge } from '../judge/port.ts'

/** @throws UserError where it cannot be read, InputError where it is none. */
export function readCalibration(file: string): Calibration {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    throw new UserError(`--calibration: cannot read ${file}: ${messageOf(error)}`, { cause: error })
  }
  const json = parseJson(bytes)
  const parsed = calibrationSchema.safeParse('value' in json ? json.value : undefined)
  if (parsed.success) return parsed.data
  throw new InputError(
    { file },
    'a calibration that eval has fitted',
    'problem' in json ? json.problem : 'other fields',
  )
}

/** The same verdicts with other scores. Labels stay what the judge said, and what members of a panel say stays as it is. */
export function calibrated(judge: StepJudge, calibration: Calibration): StepJudge {
  const map = (verdict: MergedVerdict): MergedVerdict =>
    verdict.state === 'scored' ? { ...verdict, score: calibrate(calibration, verdict.score) } : verdict
  return {
    name: `${judge.name} ${calibration.kind} ${sha256(JSON.stringify(calibration)).slice(0, 8)}`,
    meaning: 'correctness',
    judge: async (solution, signal) => {
      const { steps, usage } = await judge.judge(solution, signal)
      return { steps: steps.map(map), usage }
    },
  }
}
