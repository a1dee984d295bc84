/** @file A data set as the rows of another trainer: the `data convert` command. */
import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { encodeGroups } from '../batch/encode.ts'
import type { FormatName } from '../data/formats.ts'
import { findDataFile } from '../data/locate.ts'
import type { Group } from '../data/records.ts'
import { exportNote } from '../interop/export-notes.ts'
import { type ExportName, type ExportRow, exportPair, textPair } from '../interop/export-pairs.ts'
import { loadConfig } from '../model/load.ts'
import { type LoadCounts, loadGroups } from '../pair/groups.ts'
import { groupPairs } from '../pair/pairs.ts'
import { type Tallies, tally } from '../pair/tally.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import type { ConvertSettings } from './command-settings.ts'

export interface Conversion {
  readonly format: FormatName
  readonly counts: LoadCounts
  /** Pairs of labelled completions: a pair that was seen twice is two rows. */
  readonly rows: number
  /** Pairs that were left out, by reason. */
  readonly dropped: Tallies
  readonly note: string
}

/** Texts that were seen often pair often: a file must not become one that fills a disk. */
const MAX_ROWS = 10_000_000

/** A pair as a row, as often as it was seen. */
interface Weighted {
  readonly row: ExportRow
  readonly weight: number
}

function* textRows(
  groups: readonly Group[],
  to: Exclude<ExportName, 'trl-tokens'>,
  settings: ConvertSettings,
  dropped: Tallies,
): Generator<Weighted> {
  for (const group of groups) {
    for (const pair of groupPairs(group, settings.group_pairs)) {
      const text = textPair(group, pair)
      const made = text === undefined ? { dropped: 'token ids, not text' } : exportPair(text, to, settings.unfinished)
      if ('row' in made) yield { row: made.row, weight: pair.weight }
      else tally(dropped, made.dropped, group.place, pair.weight)
    }
  }
}

function hasText({ prompt, prefix, members }: Group): boolean {
  const pieces = ['raw' in prompt ? prompt.raw : '', ...prefix, ...members.map(({ content }) => content)]
  return pieces.some((piece) => typeof piece === 'string')
}

/** The tokens that `train` computes, nothing cut. */
function* tokenRows(groups: readonly Group[], settings: ConvertSettings, dropped: Tallies): Generator<Weighted> {
  const { base_model: model } = settings
  if (model === undefined && groups.some(hasText)) {
    throw new UserError('--to trl-tokens: these rows hold text: name the model that is to be trained with --base_model')
  }
  const most = Number.MAX_SAFE_INTEGER
  const options = {
    maxLength: most,
    maxPromptLength: most,
    maxRowTokens: most,
    pairs: settings.group_pairs,
    vocabularySize: model === undefined ? most : loadConfig(model).config.vocabularySize,
  }
  const tokenizer = model === undefined ? undefined : loadTokenizer(model)
  for (const group of groups) {
    const encoded = encodeGroups([group], tokenizer, options)
    for (const [reason, { count }] of encoded.dropped) tally(dropped, reason, group.place, count)
    for (const { prefix, members, pairs } of encoded.groups) {
      for (const { chosen, rejected, weight } of pairs) {
        const row = { prompt_ids: prefix.flat(), chosen_ids: members[chosen], rejected_ids: members[rejected] }
        yield { row, weight }
      }
    }
  }
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
  const { format, groups, counts } = await loadGroups(dataset_path, { neutral, separator, strict })
  const dropped: Tallies = new Map()
  let written = 0
  const count = (weight: number): void => {
    written += weight
    if (written > MAX_ROWS) throw new UserError(`more than ${MAX_ROWS} rows: say --group_pairs best_worst or first`)
  }
  const rows = to === 'trl-tokens' ? tokenRows(groups, settings, dropped) : textRows(groups, to, settings, dropped)
  const lines = jsonLines(rows, count)
  const first = lines.next()
  if (first.done) throw new UserError(`${dataset_path}: no pair can be written for ${to}${showReasons(dropped)}`)
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
