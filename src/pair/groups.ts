/** @file A data set of any known format, read row by row into preference groups, with an account of every row. */
import { InputError, type InputPlace, showPlace, UserError } from '../base/errors.ts'
import type { Row } from '../base/lines.ts'
import { demonstrationFormats, detectFormat, type Format, type FormatName, formats } from '../data/formats.ts'
import type { NeutralPolicy, Reading } from '../data/labelled.ts'
import { findDataFile } from '../data/locate.ts'
import { readDroppedPairs } from '../data/pair-review.ts'
import type { Group } from '../data/records.ts'
import { readRows } from '../data/rows.ts'
import { isColumns } from '../data/schema.ts'
import { addSolution, createSolutions, rootOf, type Solutions, toDemonstrations, toGroups, toMembers } from './merge.ts'
import { type Tallies, type Tally, tally } from './tally.ts'

/** Members that are preferred to others, all members that are rated, or members to learn by heart. */
export type Wanted = 'preferences' | 'members' | 'demonstrations'

export interface LoadOptions {
  readonly neutral: NeutralPolicy
  /** Follows each step of PRM800K and stepwise rows. */
  readonly separator: string
  /** The first bad row is an error. */
  readonly strict: boolean
  /** What is wanted; preferences unless said otherwise. */
  readonly wanted?: Wanted
  readonly onProgress?: (rowCount: number) => void
}

export interface BadRow {
  readonly place: InputPlace
  readonly reason: string
}

/** What became of everything: `read` is the sum of the others. */
export interface LoadCounts {
  readonly rows: {
    readonly read: number
    readonly used: number
    readonly bad: number
    readonly dropped: ReadonlyMap<string, Tally>
  }
  /** The first of them. */
  readonly badRows: readonly BadRow[]
  /** Labelled completions of the rows used. A member stands for `count` of them. */
  readonly members: { readonly read: number; readonly used: number; readonly dropped: ReadonlyMap<string, Tally> }
}

export interface LoadedData {
  readonly format: FormatName
  /** Never empty. */
  readonly groups: readonly Group[]
  readonly counts: LoadCounts
}

/** The rows ask, but nobody has judged an answer. */
export class UnlabelledError extends UserError {
  override name = 'UnlabelledError'
}

const MAX_BAD_ROWS = 20
/** Rows in which a known format must show itself. */
const MAX_UNKNOWN_ROWS = 20

interface Loading {
  readonly file: string
  readonly options: LoadOptions
  readonly solutions: Solutions
  readonly rows: { read: number; used: number; bad: number; readonly dropped: Tallies }
  readonly badRows: BadRow[]
  format: Format | undefined
  /** Ids of pairs that a person took out. */
  readonly takenOut: ReadonlySet<unknown>
}

/**
 * The groups of a data file, or of the only one in a folder. Rows that do not parse or fit the format are counted as
 * bad. Solutions of one prompt are merged in formats that have them; a pair is a group of its own.
 * @throws UserError where no row fits a known format, rows are unlabelled, or no group is left; InputError for a file
 * that cannot be read, and for the first bad row where `strict`.
 */
export async function loadGroups(path: string, options: LoadOptions): Promise<LoadedData> {
  const file = findDataFile(path)
  const loading: Loading = {
    file,
    takenOut: new Set((await readDroppedPairs(file)).keys()),
    options,
    solutions: createSolutions(),
    rows: { read: 0, used: 0, bad: 0, dropped: new Map() },
    badRows: [],
    format: undefined,
  }
  for await (const row of readRows(loading.file)) {
    takeRow(loading, row)
    options.onProgress?.(loading.rows.read)
  }
  return finish(loading)
}

function takeRow(loading: Loading, row: Row): void {
  const { rows, file } = loading
  rows.read++
  const place = { file, line: row.line }
  const reading = 'problem' in row ? { bad: row.problem } : readRow(loading, row.value)
  if ('bad' in reading) {
    takeBad(loading, { place, reason: reading.bad })
  } else if ('dropped' in reading) {
    tally(rows.dropped, reading.dropped, place)
  } else {
    rows.used++
    for (const solution of [reading.labelled, ...(reading.more ?? [])]) {
      addSolution(loading.solutions, solution, rootOf(solution, loading.format?.merges === true, row.line), place)
    }
  }
}

/** The format is that of the first row that has one. */
function readRow(loading: Loading, value: unknown): Reading {
  if (!isColumns(value)) return { bad: 'expected an object' }
  if (loading.takenOut.has(value.id)) return { dropped: 'a person took the pair out' }
  loading.format ??= detectFormat(value, formatsOf(loading.options))
  if (loading.format === undefined) {
    return { bad: `no known format has its columns: ${Object.keys(value).slice(0, 12).join(', ').slice(0, 200)}` }
  }
  if (loading.format.name !== 'prompts') return loading.format.read(value, loading.options)
  throw new UnlabelledError(
    `${loading.file}: its rows are unlabelled: they have ${Object.keys(value).slice(0, 12).join(', ')}, ` +
      'but neither rated steps nor a chosen and a rejected answer',
  )
}

/** Rows of demonstrations may look like unlabelled ones, and are tried first where they are wanted. */
function formatsOf({ wanted }: LoadOptions): readonly Format[] {
  return wanted === 'demonstrations' ? [...demonstrationFormats, ...formats] : formats
}

function takeBad(loading: Loading, bad: BadRow): void {
  const { rows, badRows, format, options } = loading
  rows.bad++
  if (options.strict) throw new InputError(bad.place, `a ${format?.name ?? 'JSON'} row`, bad.reason)
  if (badRows.length < MAX_BAD_ROWS) badRows.push(bad)
  if (format === undefined && rows.bad >= MAX_UNKNOWN_ROWS) throw unknownFormat(loading)
}

/** How each of them is collected, and why there may be none. */
const COLLECTORS: {
  readonly [W in Wanted]: {
    readonly collect: (solutions: Solutions) => Group[]
    readonly nothing: string
    readonly need: string
  }
} = {
  preferences: {
    collect: toGroups,
    nothing: 'no pair',
    need: 'A pair needs two completions with different ratings after the same steps; --loss_type kto and --objective prm need none.',
  },
  members: { collect: toMembers, nothing: 'nothing to learn', need: 'It needs a completion with a rating.' },
  demonstrations: {
    collect: toDemonstrations,
    nothing: 'nothing to learn',
    need: 'A demonstration is a completion with a rating above 0.',
  },
}

function finish({ file, solutions, rows, badRows, format, options }: Loading): LoadedData {
  if (format === undefined) throw unknownFormat({ file, badRows, options })
  const { collect, nothing, need } = COLLECTORS[options.wanted ?? 'preferences']
  const groups = collect(solutions)
  const used = groups.reduce((sum, { members }) => sum + members.reduce((part, { count }) => part + count, 0), 0)
  const members = { read: solutions.memberCount, used, dropped: solutions.dropped }
  if (groups.length > 0) return { format: format.name, groups, counts: { rows, badRows, members } }
  throw new UserError(
    `${file}: ${nothing} can be made of its ${format.name} rows: ${rows.read} rows, of which ${rows.used} used, ` +
      `${rows.bad} bad${showTallies(rows.dropped)}; ` +
      `${members.read} labelled completions${showTallies(members.dropped)}. ${need}${showBad(badRows)}`,
  )
}

function unknownFormat({ file, badRows, options }: Pick<Loading, 'file' | 'badRows' | 'options'>): UserError {
  if (badRows.length === 0) return new UserError(`${file}: expected rows, found none`)
  const known = formatsOf(options)
    .map(({ name, columns }) => `${name} (${columns})`)
    .join('; ')
  return new UserError(
    `${file}: no row of a known format.${showBad(badRows)} Known formats and their columns: ${known}`,
  )
}

function showTallies(tallies: ReadonlyMap<string, Tally>): string {
  return [...tallies].map(([reason, { count }]) => `, ${count} dropped (${reason})`).join('')
}

function showBad([first]: readonly BadRow[]): string {
  return first === undefined ? '' : ` The first bad row is ${showPlace(first.place)}: ${first.reason}.`
}
