/** @file Measures a judge on labelled solutions: the `eval processbench` command. Judges first what was not judged yet. */
import { basename, join, resolve } from 'node:path'
import { writeDurably } from '../base/files.ts'
import { escapeControls } from '../data/events.ts'
import type { JudgeEvent } from '../data/judge-events.ts'
import { fitCalibration } from '../eval/calibration.ts'
import { type JudgedSolution, type JudgeReport, outcomesOf, reportJudge } from '../eval/judge-report.ts'
import { judgeFile, loadRows, readJudgements } from './judge.ts'
import { judgeReportText } from './judge-report-text.ts'
import type { EvalJudgeSettings } from './judge-settings.ts'
import type { World } from './world.ts'

/** A report, with what it is of. */
export interface JudgeEvaluation {
  readonly judge: string
  readonly data: string
  readonly report: JudgeReport
  /** US dollars that the judgements cost. */
  readonly spent: number
  /** The report as Markdown. */
  readonly text: string
  /** All but the text, as one line of JSON. */
  readonly json: string
}

/** @throws UserError as `judgeFile`. Undefined where the run was stopped, or was a dry one. */
export async function* evalJudge(
  { fit_calibration: kind, threshold, ...settings }: EvalJudgeSettings,
  world: World,
): AsyncGenerator<JudgeEvent, JudgeEvaluation | undefined> {
  let judge = ''
  let isWhole = false
  let spent = 0
  for await (const event of judgeFile(settings, world)) {
    if (event.type === 'judging-begin') judge = event.judge
    if (event.type === 'judging-end') {
      isWhole = true
      spent = event.spent
    }
    yield event
  }
  if (!isWhole) return undefined
  const folder = resolve(settings.output_dir)
  const known = await readJudgements(folder, judge)
  const { rows } = await loadRows(settings)
  const solutions = rows.flatMap((row): JudgedSolution[] => {
    const judgement = known.get(row.id)
    if (judgement === undefined) return []
    const { label, labels, finalCorrect, category } = row
    return [{ verdicts: judgement.steps, score: judgement.score, label, labels, finalCorrect, category }]
  })
  const report = reportJudge(solutions, threshold)
  if (kind !== undefined) {
    const calibration = fitCalibration(kind, solutions.flatMap(outcomesOf))
    writeDurably(join(folder, 'calibration.json'), `${JSON.stringify(calibration, null, 2)}\n`)
  }
  const data = basename(settings.dataset_path)
  const text = judgeReportText({ judge, data, report, spent })
  const facts = { type: 'evaluation', judge, data, spent, report }
  writeDurably(join(folder, 'report.json'), `${JSON.stringify(facts, replaceMaps, 2)}\n`)
  writeDurably(join(folder, 'report.md'), text)
  return { judge, data, report, spent, text, json: escapeControls(JSON.stringify(facts, replaceMaps)) }
}

function replaceMaps(_: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value
}
