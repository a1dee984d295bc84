/** @file A data set as the rows of another trainer: the `data convert` command. */
import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import type { FormatName } from '../data/formats.ts'
import { findDataFile } from '../data/locate.ts'
import type { Group } from '../data/records.ts'
import { exportNote } from '../interop/export-notes.ts'
import { isMemberExport, memberRows, pairRows, tokenRows, type Weighted } from '../interop/export-rows.ts'
import { loadConfig } from '../model/load.ts'
import { type LoadCounts, loadGroups } from '../pair/groups.ts'
import type { Tallies } from '../pair/tally.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import type { ConvertSettings } from './command-settings.ts'

export interface Conversion {
  readonly format: FormatName
  readonly counts: LoadCounts
  /** Pairs or members of labelled completions: what was seen twice is two rows. */
  readonly rows: number
  /** Pairs or members that were left out, by reason. */
  readonly dropped: Tallies
  readonly note: string
}

/** Texts that were seen often pair often: a file must not become one that fills a disk. */
const MAX_ROWS = 10_000_000

/** The rows that the trainer reads. */
function rowsOf(groups: readonly Group[], settings: ConvertSettings, dropped: Tallies): Generator<Weighted> {
  const { to, group_pairs: pairs, unfinished, base_model: model } = settings
  const options = { pairs, unfinished, dropped }
  if (isMemberExport(to)) return memberRows(groups, to, options)
  if (to !== 'trl-tokens') return pairRows(groups, to, options)
  if (model === undefined && groups.some(hasText)) {
    throw new UserError('--to trl-tokens: these rows hold text: name the model that is to be trained with --base_model')
  }
  const source =
    model === undefined
      ? { tokenizer: undefined, vocabularySize: Number.MAX_SAFE_INTEGER }
      : { tokenizer: loadTokenizer(model), vocabularySize: loadConfig(model).config.vocabularySize }
  return tokenRows(groups, source, options)
}

function hasText({ prompt, prefix, members }: Group): boolean {
  const pieces = ['raw' in prompt ? prompt.raw : '', ...prefix, ...members.map(({ content }) => content)]
  return pieces.some((piece) => typeof piece === 'string')
}

function* jsonLines(rows: Iterable<Weighted>, count: (rows: number) => void): Generator<string> {
  for (const { row, weight } of rows) {
    count(weight)
    const line = `${JSON.stringify(row)}\n`
    for (let copy = 0; copy < weight; copy++) yield line
  }
}

/**
 * Writes the pairs of a data set as the rows of another trainer, whole or not at all.
 * @throws UserError or InputError where the data cannot be read or no pair can be written; then nothing is.
 */
export async function convert(settings: ConvertSettings): Promise<Conversion> {
  const { dataset_path, output_path: path, to, unfinished, neutral, step_separator: separator, strict } = settings
  if (resolve(findDataFile(dataset_path)) === resolve(path)) {
    throw new UserError(`${path} is the data set itself: name another file with --output_path`)
  }
  const wanted = isMemberExport(to) ? 'members' : 'preferences'
  const { format, groups, counts } = await loadGroups(dataset_path, { neutral, separator, strict, wanted })
  const dropped: Tallies = new Map()
  let written = 0
  const count = (weight: number): void => {
    written += weight
    if (written > MAX_ROWS) throw new UserError(`more than ${MAX_ROWS} rows: say --group_pairs best_worst or first`)
  }
  const lines = jsonLines(rowsOf(groups, settings, dropped), count)
  const first = lines.next()
  if (first.done)
    throw new UserError(
      `${dataset_path}: no ${isMemberExport(to) ? 'completion' : 'pair'} can be written for ${to}${showReasons(dropped)}` +
        (unfinished === 'mark'
          ? ''
          : '. step-dpo and trl-tokens leave sides open; --unfinished mark writes them all the same'),
    )
  mkdirSync(dirname(path), { recursive: true })
  writeDurably(path, chain(first.value, lines))
  return { format, counts, rows: written, dropped, note: exportNote(to, path, unfinished) }
}

function* chain(first: string, others: Iterable<string>): Generator<string> {
  yield first
  yield* others
}

function showReasons(dropped: Tallies): string {
  return [...dropped].map(([reason, { count }]) => `, ${count} left out (${reason})`).join('')
}
