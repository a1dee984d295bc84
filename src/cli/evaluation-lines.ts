/** @file What is told of an evaluation: whether the model got better, and its figures as tables. */
import type { Evaluation } from '../recipe/eval.ts'
import { comparisonLines, rolloutTables } from '../recipe/rollout-report-text.ts'
import { tableLines } from './table.ts'

/** `width` is that of the terminal; undefined for a pipe. */
export function evaluationLines({ report, names }: Evaluation, width?: number): string[] {
  const tables = rolloutTables(report, names).flatMap(({ title, head, rows }) => [
    '',
    title,
    ...tableLines({ head, rows }, width).map((line) => `  ${line}`.trimEnd()),
  ])
  return ['', ...comparisonLines(report, names), ...tables]
}
