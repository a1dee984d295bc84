/** @file The report on a sweep in words: the table of points, what to think of it, and both as Markdown. */
import { basename } from 'node:path'
import type { Estimate } from '../eval/interval.ts'
import type { Standing, SweepReport, SweepRow } from './sweep-report.ts'
import { type SweepSettings, shortName } from './sweep-settings.ts'

/** A column of the table; where room is short, those of the highest `rank` are left out first. */
interface Column {
  readonly head: string
  readonly rank: number
  readonly cell: (row: SweepRow) => string
}

export interface SweepTable {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

const STANDINGS: { readonly [S in Standing]: string } = {
  best: 'best',
  open: '≈ best',
  behind: 'behind',
  unknown: '?',
  failed: 'failed',
}

/** Settings that say what the loss is. */
const LOSSES = ['loss_type', 'loss_weights', 'label_smoothing']

const ACCURACY = 'eval_rewards/accuracies'

function fixed(value: number | null | undefined, digits = 3): string {
  return value === undefined || value === null || !Number.isFinite(value) ? '' : value.toFixed(digits)
}

/** With its sign; none for what rounds to 0. */
function signed(value: number, digits = 3): string {
  const text = value.toFixed(digits)
  if (Number(text) === 0) return text.replace('-', '')
  return value < 0 ? text : `+${text}`
}

/** `0.662 [0.624, 0.697]`. */
function valueCell({ value }: SweepRow): string {
  if (value === null) return ''
  return fixed(value.mean) + (value.low === null ? '' : ` [${fixed(value.low)}, ${fixed(value.high)}]`)
}

function differenceCell({ value, low, high }: Estimate): string {
  return value === null ? '' : `${signed(value)} [${signed(low)}, ${signed(high)}]`
}

function plainName(metric: string): string {
  return metric.replace(/^eval_/, '')
}

function columnsOf({ metric, rows }: SweepReport): Column[] {
  const keys = Object.keys(rows[0]?.labels ?? {})
  const metricCell = (name: string, digits: number) => (row: SweepRow) => fixed(row.metrics[name], digits)
  return [
    { head: '', rank: 0, cell: ({ standing }) => STANDINGS[standing] },
    ...keys.map((key): Column => ({ head: shortName(key), rank: 0, cell: ({ labels }) => labels[key] })),
    { head: plainName(metric), rank: 0, cell: valueCell },
    ...(rows.some(({ difference }) => difference.value !== null)
      ? [{ head: 'less the best', rank: 1, cell: ({ difference }: SweepRow) => differenceCell(difference) }]
      : []),
    ...(rows.some(({ seedRange }) => seedRange !== null)
      ? [
          {
            head: 'seeds',
            rank: 2,
            cell: ({ seedRange }: SweepRow) => seedRange?.map((one) => fixed(one)).join('–') ?? '',
          },
        ]
      : []),
    ...(metric === ACCURACY ? [] : [{ head: 'accuracy', rank: 2, cell: metricCell(ACCURACY, 3) }]),
    ...(metric === 'eval_loss' ? [] : [{ head: 'eval loss', rank: 3, cell: metricCell('eval_loss', 4) }]),
    { head: 'margin', rank: 4, cell: metricCell('eval_rewards/margins', 3) },
    { head: 'Δ chosen', rank: 4, cell: ({ chosenChange }) => (chosenChange === null ? '' : signed(chosenChange, 2)) },
    { head: 'updates', rank: 7, cell: (row) => (row.failure === null ? String(row.updates) : '') },
    { head: 'tokens', rank: 6, cell: ({ tokens }) => (tokens > 0 ? Math.round(tokens).toLocaleString('en-US') : '') },
    { head: 'seconds', rank: 5, cell: ({ seconds }) => (seconds > 0 ? seconds.toFixed(seconds < 10 ? 1 : 0) : '') },
  ]
}

/** The table of points, without the columns of a higher rank. */
export function sweepTable(report: SweepReport, highest = Number.POSITIVE_INFINITY): SweepTable {
  const columns = columnsOf(report).filter(({ rank }) => rank <= highest)
  return { head: columns.map(({ head }) => head), rows: report.rows.map((row) => columns.map(({ cell }) => cell(row))) }
}

/** The ranks of columns, the highest first: what may be left out to make room. */
export function columnRanks(report: SweepReport): number[] {
  return [...new Set(columnsOf(report).map(({ rank }) => rank))].sort((a, b) => b - a)
}

/** Which point is the best, and of how many others that cannot be said to be worse. */
export function verdictLines({ metric, rows }: SweepReport): string[] {
  const [best] = rows
  if (best === undefined || best.standing !== 'best') return ['No point has a result.']
  const others = rows.filter(({ standing }) => standing !== 'best' && standing !== 'failed')
  const open = others.filter(({ standing }) => standing === 'open')
  const line = `Best of ${others.length + 1}: ${best.point}; ${plainName(metric)} ${valueCell(best)}.`
  if (others.length === 0) return [line]
  if (others.some(({ standing }) => standing === 'unknown')) {
    return [line, `There is no interval of ${plainName(metric)}: nothing says which differences are chance.`]
  }
  if (open.length === 0)
    return [line, others.length === 1 ? 'The other point is behind it.' : 'All others are behind it.']
  return [
    line,
    open.length === others.length
      ? 'No other point can be told from it: on so few problems the differences may be chance.'
      : `${open.length} of the ${others.length} others cannot be told from it (≈).`,
  ]
}

/** What the table does not say of itself. */
export function noteLines(report: SweepReport, settings: SweepSettings): string[] {
  const measured = report.rows.filter(({ standing }) => standing !== 'failed')
  return [
    ...(measured.length > 0 ? [budgetLine(report.rows.length, measured[0], settings)] : []),
    ...(measured.length > 1 ? comparisonLines(measured) : []),
    ...unitLines(measured),
    ...(report.metric === ACCURACY ? untrainedLines(measured) : []),
    ...seedLines(settings),
    ...failureLines(report.rows),
  ]
}

function budgetLine(points: number, { metrics, trials, updates }: SweepRow, { sweep_seeds }: SweepSettings): string {
  const { eval_pairs: pairs, eval_problems: problems } = metrics
  const trained = `${points} ${points === 1 ? 'point' : 'points'}${sweep_seeds === undefined ? '' : ` × ${trials.length} seeds`}`
  return (
    `${trained}, ${updates} updates each on the same groups; held out: ${Math.round(pairs)} pairs of ` +
    `${Math.round(problems)} problems. In brackets: 95 % intervals over problems.`
  )
}

function comparisonLines(measured: readonly SweepRow[]): string[] {
  const isPaired = measured.some(({ difference }) => difference.value !== null)
  return [
    isPaired
      ? 'less the best: paired, over the same problems. ≈ where the interval holds 0: it cannot be told from the best.'
      : 'Intervals are not paired: ≈ where one overlaps that of the best.',
    `The best of ${measured.length} was picked by the problems that it is measured on: its figure is optimistic. ` +
      'Measure it on others before you quote it.',
  ]
}

function unitLines(measured: readonly SweepRow[]): string[] {
  const isVaried = (key: string): boolean => new Set(measured.map(({ labels }) => labels[key])).size > 1
  return [
    ...(isVaried('beta') ? ['Margins and eval losses scale with beta: compare them at one beta only.'] : []),
    ...(LOSSES.some(isVaried) ? ['Eval losses of different losses are different quantities.'] : []),
  ]
}

function untrainedLines(measured: readonly SweepRow[]): string[] {
  const untrained = measured[0]?.metrics['eval_reference/accuracies']
  return untrained === undefined
    ? []
    : [`Untrained, the model finds the chosen side more likely in ${fixed(untrained)}.`]
}

function seedLines({ sweep_seeds: seeds, eval_dataset_path: other }: SweepSettings): string[] {
  if (seeds === undefined) return []
  const own = other === undefined ? '; each seed holds out problems of its own' : ''
  return [`Means over seeds ${[...new Set(seeds)].join(', ')}${own}.`]
}

function failureLines(rows: readonly SweepRow[]): string[] {
  return rows.flatMap(({ point, failure }) => (failure === null ? [] : [`failed: ${point}: ${failure}.`]))
}

/** Text in one line, as a cell of a table may hold it. */
function plain(text: string): string {
  return text.replaceAll(/[\r\n]/g, ' ').replaceAll('|', '\\|')
}

/** The report as Markdown, its columns below each other in the source too. */
export function sweepMarkdown(report: SweepReport, settings: SweepSettings): string {
  const { head, rows } = sweepTable(report)
  const cells = [head, ...rows].map((row) => row.map(plain))
  const widths = head.map((_, column) => cells.reduce((widest, row) => Math.max(widest, row[column].length), 3))
  const line = (row: readonly string[]): string => `| ${row.map((cell, at) => cell.padEnd(widths[at])).join(' | ')} |`
  const [first, ...rest] = cells.map(line)
  return [
    `# Sweep of ${plain(basename(settings.base_model))} on ${plain(basename(settings.dataset_path))}`,
    '',
    ...verdictLines(report).map(plain),
    '',
    first,
    `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`,
    ...rest,
    '',
    ...noteLines(report, settings).map((note) => `- ${plain(note)}`),
    '',
  ].join('\n')
}
