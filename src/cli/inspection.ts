/** @file The report of `data inspect`, as text and as JSON. */
import { showPlace } from '../base/errors.ts'
import type { Spread } from '../pair/audit.ts'
import type { Tally } from '../pair/tally.ts'
import type { InspectSettings } from '../recipe/command-settings.ts'
import type { Example, ExampleSide, Inspection } from '../recipe/inspect.ts'
import { showCount } from './format.ts'
import { type Line, paint, type Style, span } from './line.ts'
import { tableLines } from './table.ts'
import { printableText } from './width.ts'

export interface Looks {
  readonly colours: boolean
  /** Columns of the terminal; undefined in a pipe. */
  readonly width: number | undefined
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '0 %' : `${((100 * part) / whole).toFixed(1)} %`
}

export function tallyLines(dropped: ReadonlyMap<string, Tally>, what: string): string[] {
  return [...dropped].map(
    ([reason, { count, places }]) =>
      `  dropped  ${showCount(count)} ${what}: ${reason} (first: ${places.slice(0, 1).map(showPlace).join()})`,
  )
}

function countLines({ audit }: Inspection): string[] {
  const { rows, members, badRows } = audit.counts
  return [
    `rows         ${showCount(rows.read)} read, ${showCount(rows.used)} used, ${showCount(rows.bad)} bad`,
    ...badRows.map(({ place, reason }) => `  bad      ${showPlace(place)}: ${reason}`),
    ...tallyLines(rows.dropped, 'rows'),
    `completions  ${showCount(members.read)} labelled, ${showCount(members.used)} used`,
    ...tallyLines(members.dropped, 'completions'),
    `ratings      ${[...audit.ratings].map(([rating, count]) => `${rating}: ${showCount(count)}`).join('   ')}`,
  ]
}

function pairLines({ audit }: Inspection): string[] {
  const { all, best_worst, first } = audit.pairs
  return [
    `problems     ${showCount(audit.problems)}`,
    `groups       ${showCount(audit.groups)}`,
    `pairs        all ${showCount(all.pairs)}, best_worst ${showCount(best_worst.pairs)}, first ${showCount(first.pairs)}`,
  ]
}

function lengthLines({ audit }: Inspection, { width }: Looks): string[] {
  const unit = audit.tokens === null ? 'characters' : 'tokens'
  const lengths = audit.tokens ?? audit.lengths
  const row = (name: string, { min, median, p95, max }: Spread): string[] => [
    name,
    ...[min, median, p95, max].map(showCount),
  ]
  const rows = [
    row('members of a group', audit.membersPerGroup),
    row('steps before', audit.prefixSteps),
    row(`${unit} before`, lengths.prefix),
    row(`${unit} of a step`, lengths.member),
  ]
  return tableLines({ head: ['', 'min', 'median', 'p95', 'max'], rows }, width)
}

function endLines({ audit }: Inspection, { group_pairs: policy }: InspectSettings): string[] {
  if (audit.format === 'pretokenised') return ['end of turn  as in the token ids: nothing is added']
  const { pairs, chosenTerminal, rejectedTerminal, neitherTerminal, stoppedEarly } = audit.pairs[policy]
  return [
    `end of turn  after ${showCount(chosenTerminal)} chosen and ${showCount(rejectedTerminal)} rejected sides, which end ` +
      `their solutions; neither side of ${showCount(neitherTerminal)} pairs does`,
    `             an EOS after every completion would teach stopping early in ${showCount(stoppedEarly)} of ` +
      `${showCount(pairs)} pairs (${percent(stoppedEarly, pairs)})`,
  ]
}

function encodedLines({ encoded }: Inspection, { max_length: maxLength }: InspectSettings): string[] {
  if (encoded === null) return []
  return [
    `max_length   ${showCount(maxLength)} tokens: ${showCount(encoded.pairs)} pairs fit, ${showCount(encoded.truncated)} ` +
      'groups lose their oldest steps',
    ...tallyLines(encoded.dropped, 'pairs'),
  ]
}

function leakLines({ leak }: Inspection, { check_leak: other }: InspectSettings): string[] {
  if (leak === null) return []
  const { problems, rows, leaks } = leak
  return [
    `leak         ${showCount(leaks.length)} of ${showCount(problems)} problems stand in ${other} too ` +
      `(${showCount(rows.read)} rows${rows.unread > 0 ? `, ${showCount(rows.unread)} of them without a problem` : ''})`,
    ...leaks.slice(0, 5).map(({ problem, place }) => `  ${showPlace(place)}: ${printableText(problem.slice(0, 100))}`),
  ]
}

/** What is scored stands between ⟦ and ⟧. */
function sideLines(mark: string, side: ExampleSide, style: Style, { colours }: Looks): string[] {
  const line: Line = [span(`${mark} `, 'bold'), span(`⟦${side.scored.replaceAll('\n', '↵')}⟧`, style)]
  const tokens = side.ids === null ? '' : `, ${showCount(side.ids.length)} tokens`
  const ends = side.terminal ? ', ends the solution' : ''
  return [paint(line, colours), paint([span(`  rating ${side.rating}${tokens}${ends}`, 'dim')], colours)]
}

function exampleLines(example: Example, looks: Looks): string[] {
  const prefix = printableText(example.prefix)
    .split('\n')
    .map((line) => paint([span(`  ${line}`, 'dim')], looks.colours))
  return [
    '',
    paint([span(`example ${showPlace(example.place)}`, 'bold')], looks.colours),
    ...prefix,
    ...sideLines('+', example.chosen, 'green', looks),
    ...sideLines('−', example.rejected, 'yellow', looks),
  ]
}

export function inspectionLines(inspection: Inspection, settings: InspectSettings, looks: Looks): string[] {
  const { audit, examples } = inspection
  return [
    `${settings.dataset_path}: ${audit.format}`,
    '',
    ...countLines(inspection),
    ...pairLines(inspection),
    '',
    ...lengthLines(inspection, looks),
    '',
    ...endLines(inspection, settings),
    ...encodedLines(inspection, settings),
    ...leakLines(inspection, settings),
    ...(examples.length > 0 ? ['', 'What is scored stands in ⟦brackets⟧; nothing before it is.'] : []),
    ...examples.flatMap((example) => exampleLines(example, looks)),
  ]
}

/** Maps become objects. */
export function inspectionJson(inspection: Inspection): string {
  return JSON.stringify(
    inspection,
    (_, value: unknown) => (value instanceof Map ? Object.fromEntries(value) : value),
    2,
  )
}
