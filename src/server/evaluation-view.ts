/** @file Reports of `eval` as pages show them: figures of both models, and the problems whose answer changed. */
import { dirname } from 'node:path'
import { z } from 'zod'
import type { EvaluationItem, EvaluationsReply, FigureRow, Flip } from '../data/dashboard-reports.ts'
import { estimate } from './estimate.ts'
import { shortId } from './run-files.ts'
import { readJsonFile } from './run-view.ts'
import type { Run } from './runs.ts'
import type { Traces } from './trace-index.ts'
import type { TraceEntry } from './trace-row.ts'

const MAX_FLIPS = 500

const named = {
  source: z.string(),
  name: z.string(),
  unit: z.string(),
  judge: z.string().nullable(),
  aggregation: z.string().nullable(),
}

const modelReport = z.object({ figures: z.array(z.object({ ...named, problems: z.number(), mean: estimate })) })

const evaluation = z.object({
  data: z.string(),
  model: z.string(),
  base: z.string().nullable(),
  report: z.object({
    model: modelReport,
    base: modelReport.nullable(),
    comparison: z
      .object({
        answers: z
          .object({
            bothRight: z.number(),
            bothWrong: z.number(),
            gained: z.array(z.string()),
            lost: z.array(z.string()),
            p: z.number(),
          })
          .nullable(),
        differences: z.array(z.object({ ...named, difference: estimate, isSignificant: z.boolean() })),
      })
      .nullable(),
  }),
})

type Report = z.output<typeof evaluation>

export async function evaluationsReply(run: Run): Promise<EvaluationsReply> {
  const traces = await run.traces.refresh()
  const evaluations = run.files().flatMap(({ kind, name, path }): EvaluationItem[] => {
    const report = kind === 'reports' ? evaluation.safeParse(readJsonFile(path)).data : undefined
    return report === undefined ? [] : [showReport(report, name, traces)]
  })
  return { evaluations }
}

function showReport({ data, model, base, report }: Report, name: string, traces: Traces): EvaluationItem {
  const answers = report.comparison?.answers ?? null
  return {
    name,
    data,
    model,
    base,
    figures: figuresOf(report),
    answers: answers && {
      problems: answers.bothRight + answers.bothWrong + answers.gained.length + answers.lost.length,
      gained: answers.gained.length,
      lost: answers.lost.length,
      p: answers.p,
    },
    flips: [
      ...flipsOf(answers?.gained ?? [], 'gained', dirname(name), traces),
      ...flipsOf(answers?.lost ?? [], 'lost', dirname(name), traces),
    ].slice(0, MAX_FLIPS),
  }
}

type Named = Pick<FigureRow, 'source' | 'name' | 'judge' | 'aggregation'>

function figuresOf({ model, base, comparison }: Report['report']): FigureRow[] {
  const isOf = (one: Named) => (other: Named) =>
    one.source === other.source &&
    one.name === other.name &&
    one.judge === other.judge &&
    one.aggregation === other.aggregation
  return model.figures.map(({ mean, ...figure }) => {
    const difference = comparison?.differences.find(isOf(figure))
    return {
      ...figure,
      base: base?.figures.find(isOf(figure))?.mean ?? null,
      model: mean,
      difference: difference?.difference ?? null,
      isSignificant: difference?.isSignificant ?? null,
    }
  })
}

/** Both greedy answers to each problem, which stand below the folder of the report: one of them right, the other wrong. */
function flipsOf(problems: readonly string[], change: Flip['change'], folder: string, traces: Traces): Flip[] {
  return problems.flatMap((text) => {
    const problem = traces.problems.get(shortId(text))
    const greedy = (problem?.traces ?? []).filter(({ file }) => {
      const { name } = traces.files[file]
      return name.endsWith('greedy.jsonl') && (folder === '.' || name.startsWith(folder))
    })
    const find = (isRight: boolean): TraceEntry | undefined => greedy.find((entry) => entry.isRight === isRight)
    const [before, after] = change === 'gained' ? [find(false), find(true)] : [find(true), find(false)]
    if (problem === undefined || before === undefined || after === undefined) return []
    return [{ problem: problem.id, text, change, before: before.id, after: after.id }]
  })
}
