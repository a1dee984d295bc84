/** @file The report on a model's rollouts: tables for the terminal, and Markdown, which reads as text too. */
import type { AnswerChanges } from '../eval/compare.ts'
import type { FigureName } from '../eval/figure.ts'
import type { Estimate } from '../eval/interval.ts'
import type { FigureDifference, FigureReport, RolloutCounts, RolloutReport } from '../eval/rollout-report.ts'

/** How models and data are called; `base` where it is compared to another. */
export interface ReportNames {
  readonly data: string
  readonly model: string
  readonly base: string | null
}

/** A table with a title; as many cells in each row as the head has. */
export interface RolloutTable {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

type Source = FigureName['source']

const SOURCES = ['greedy', 'samples'] as const
/** Figures that are not called by their names. */
const LABELS = new Map([
  ['judged', 'judged score'],
  ['coverage', 'steps with a score'],
  ['repetitive', 'repeats itself'],
  ['truncated', 'cut at the token limit'],
  ['stopped-early', 'ends without an answer'],
])
const MOST_FLIPS = 10
const FLIP_LENGTH = 80

const units: { readonly [U in FigureName['unit']]: (value: number) => string } = {
  share: (value) => (100 * value).toFixed(1),
  score: (value) => value.toFixed(3),
  count: (value) => value.toFixed(1),
}
/** As wide as 100.0, and with a sign before it, so that the numbers of a column stand below each other. */
const WIDTH = 5
const SIGNED_WIDTH = 6

/** A difference with its sign; none for what rounds to 0. */
function showDifference(value: number, unit: FigureName['unit']): string {
  const text = units[unit](value)
  if (Number(text) === 0) return text.replace('-', '')
  return value < 0 ? text : `+${text}`
}

function withInterval({ value, low, high }: Estimate, show: (value: number) => string): string {
  return value === null ? 'not known' : `${show(value)} [${show(low)}, ${show(high)}]`
}

function meanCell({ mean, unit }: FigureReport): string {
  return withInterval(mean, (value) => units[unit](value).padStart(WIDTH))
}

/** Two digits that say something. */
function showP(p: number): string {
  return p < 0.001 ? 'p < 0.001' : `p = ${p.toPrecision(2)}`
}

function labelOf(figure: FigureReport, problems: number): string {
  const { name, judge, aggregation } = figure
  const by = [judge, aggregation].filter((part) => part !== null)
  return [
    LABELS.get(name) ?? name,
    ...(by.length > 0 ? [`(${by.join(', ')})`] : []),
    ...(figure.problems < problems ? [`on ${figure.problems} of ${problems} problems`] : []),
    ...(figure.isExact ? [] : ['from sampled draws']),
  ].join(' ')
}

function isSame(a: FigureName, b: FigureName): boolean {
  return a.source === b.source && a.name === b.name && a.judge === b.judge && a.aggregation === b.aggregation
}

/** One table of all figures for greedy answers and one for samples, where there are such rollouts. Shares in percent. */
export function rolloutTables({ model, base, comparison }: RolloutReport, names: ReportNames): RolloutTable[] {
  return SOURCES.flatMap((source) => {
    const counts = model[source]
    if (counts === null) return []
    const title = titleOf(source, counts)
    const figures = model.figures.filter((figure) => figure.source === source)
    const own = figures.map((figure) => [labelOf(figure, counts.problems), meanCell(figure)])
    if (base === null) return [{ title, head: ['', names.model], rows: own }]
    const rows = figures.map((figure, at) => {
      const before = base.figures.find((one) => isSame(one, figure))
      const difference = comparison?.differences.find((one) => isSame(one, figure))
      const [label, now] = own[at]
      return [
        label,
        before === undefined ? '' : meanCell(before),
        now,
        ...differenceCells(difference, Math.max(figure.problems, before?.problems ?? 0)),
      ]
    })
    return [{ title, head: ['', baseOf(names), names.model, 'difference', 'significant'], rows }]
  })
}

function titleOf(source: Source, { fewest, most }: RolloutCounts): string {
  if (source === 'greedy') return 'Greedy answers'
  return `${fewest === most ? most : `${fewest} to ${most}`} samples of each problem`
}

/** A difference, the problems it is over where they are fewer than a model has, and whether it is significant. */
function differenceCells(difference: FigureDifference | undefined, problems: number): [string, string] {
  if (difference === undefined || difference.problems === 0) return ['', '']
  const { unit, isSignificant } = difference
  const text = withInterval(difference.difference, (value) => showDifference(value, unit).padStart(SIGNED_WIDTH))
  const over = difference.problems < problems ? ` on ${difference.problems} problems` : ''
  return [text + over, isSignificant ? 'yes' : 'no']
}

/** Whether answers got better, in words; empty for one model alone. */
export function comparisonLines({ comparison }: RolloutReport, names: ReportNames): string[] {
  if (comparison === null) return []
  const { answers, differences } = comparison
  const find = (name: string): FigureDifference | undefined =>
    differences.find((one) => one.name === name && one.problems > 0)
  const [greedy, sampled] = [find('accuracy'), find('pass@1')]
  if (greedy !== undefined && answers !== null) return greedyLines(answers, greedy, names)
  if (sampled === undefined) return ['No problem has answers of both models that can be compared.']
  return [
    `Of the samples of ${sampled.problems} problems, ${units.share(sampled.tuned ?? 0)} % by ${plain(names.model)} are right ` +
      `and ${units.share(sampled.base ?? 0)} % by ${plain(baseOf(names))}.`,
    verdictOn(sampled, 'the interval of 95 %, over problems'),
  ]
}

function greedyLines(answers: AnswerChanges, accuracy: FigureDifference, names: ReportNames): string[] {
  const { bothRight, bothWrong, gained, lost, p } = answers
  const problems = bothRight + bothWrong + gained.length + lost.length
  return [
    `Of ${problems} problems, ${plain(names.model)} solves ${bothRight + gained.length} and ${plain(baseOf(names))} ` +
      `${bothRight + lost.length}: ${gained.length} gained, ${lost.length} lost, ${bothRight} solved by both, ` +
      `${bothWrong} by none.`,
    verdictOn(accuracy, `McNemar's exact test, ${showP(p)}`),
  ]
}

function verdictOn({ difference, isSignificant }: FigureDifference, test: string): string {
  const points = withInterval(difference, (value) => showDifference(value, 'share'))
  return isSignificant
    ? `The difference of ${points} points is significant (${test}).`
    : `The difference of ${points} points is not significant (${test}): two equally good models may differ by as much ` +
        'on so many problems.'
}

function baseOf({ base }: ReportNames): string {
  return base ?? 'base'
}

function countLines({ problems, rollouts, unknownAnswer, noAnswer, judges }: RolloutCounts, model: string): string[] {
  const known = unknownAnswer > 0 ? `, ${unknownAnswer} to problems without a known answer (not counted)` : ''
  return [
    `- ${model}: ${problems} problems, ${rollouts} completions, ${noAnswer} without a final answer (wrong)${known}.`,
    ...judges.map(
      ({ judge, notJudged, notScored, steps }) =>
        `- ${model}, judged by ${plain(judge)}: ${notJudged} completions not judged, ${notScored} without a scored step; ` +
        `${steps.scored} steps scored, ${steps.abstained} abstained, ${steps.failed} failed.`,
    ),
  ]
}

function flipLines(title: string, problems: readonly string[]): string[] {
  if (problems.length === 0) return []
  const more = problems.length - MOST_FLIPS
  return [
    `## ${title} (${problems.length})`,
    '',
    ...problems.slice(0, MOST_FLIPS).map((problem) => `- ${excerpt(problem)}`),
    ...(more > 0 ? [`- and ${more} more, in report.json`] : []),
    '',
  ]
}

/** The beginning of a problem as code, so that nothing in it is Markdown. */
function excerpt(problem: string): string {
  const letters = Array.from(problem.replace(/\s+/g, ' ').trim())
  const start = letters.slice(0, FLIP_LENGTH).join('').replaceAll('`', "'")
  return letters.length > FLIP_LENGTH ? `\`${start}\` …` : `\`${start}\``
}

/** Text in one line, as a cell of a table may hold it. */
function plain(text: string): string {
  return text.replaceAll(/[\r\n]/g, ' ').replaceAll('|', '\\|')
}

/** A Markdown table whose columns stand below each other in the source too. */
function markdownTable({ head, rows }: RolloutTable): string[] {
  const cells = [head, ...rows].map((row) => row.map(plain))
  const widths = head.map((_, column) => cells.reduce((widest, row) => Math.max(widest, row[column].length), 3))
  const line = (row: readonly string[]): string => `| ${row.map((cell, at) => cell.padEnd(widths[at])).join(' | ')} |`
  const [first, ...rest] = cells
  return [line(first), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rest.map(line)]
}

function sectionLines(report: RolloutReport, names: ReportNames): string[] {
  const present = SOURCES.filter((source) => report.model[source] !== null)
  return rolloutTables(report, names).flatMap((table, at) => {
    const [own, before] = [report.model[present[at]], report.base?.[present[at]] ?? null]
    return [
      `## ${table.title}`,
      '',
      ...(before === null ? [] : countLines(before, plain(baseOf(names)))),
      ...(own === null ? [] : countLines(own, plain(names.model))),
      '',
      ...markdownTable(table),
      '',
    ]
  })
}

const NOTES = [
  '## How to read this',
  '',
  "- Shares are in percent, means over problems. In brackets: 95 % intervals over problems, Wilson's where each problem is",
  '  right or wrong, else those of a bootstrap.',
  "- Samples: k of a problem's completions are drawn. pass@k: one is right; maj@k: the most frequent answer is; best-of-k: the",
  '  one with the best score is; weighted@k: the answer with the highest sum of scores is. All draws are counted, unless a',
  '  row says that they were sampled. Ties share.',
  '- A completion without a score is chosen, or votes, only where no other of its draw has a score.',
  '- Judged scores leave out steps without a score; see the share of steps with one.',
]
const PAIRED_NOTES = [
  '- Differences are over the problems of both models. Of twenty figures of two equal models about one differs',
  '  significantly by chance.',
]

/** The report as Markdown. */
export function rolloutReportText(report: RolloutReport, names: ReportNames): string {
  const { comparison } = report
  const lines = comparisonLines(report, names)
  return [
    `# ${plain(names.model)}${names.base === null ? '' : ` against ${plain(names.base)}`} on ${plain(names.data)}`,
    '',
    ...lines,
    ...(lines.length > 0 ? [''] : []),
    ...sectionLines(report, names),
    ...flipLines('Gained', comparison?.answers?.gained ?? []),
    ...flipLines('Lost', comparison?.answers?.lost ?? []),
    ...NOTES,
    ...(comparison === null ? [] : PAIRED_NOTES),
    '',
  ].join('\n')
}
