/** @file The groups of a training run: loaded, checked for leaks, split by problem and encoded. */
import { showPlace, UserError } from '../base/errors.ts'
import {
  type EncodedData,
  type EncodedGroup,
  type EncodeOptions,
  encodeGroups,
  encodeMembers,
} from '../batch/encode.ts'
import { encodeVerdicts } from '../batch/encode-verdicts.ts'
import { pairCount } from '../batch/pack.ts'
import type { Encoder } from '../batch/pieces.ts'
import { countCutShort } from '../batch/step-weights.ts'
import type { RunEvent } from '../data/events.ts'
import type { Group } from '../data/records.ts'
import type { VerdictFrame, VerdictSettings } from '../judge/verdicts.ts'
import { type LoadedData, loadGroups, UnlabelledError, type Wanted } from '../pair/groups.ts'
import { findLeaks } from '../pair/leak.ts'
import { splitByProblem } from '../pair/split.ts'
import type { Tally } from '../pair/tally.ts'
import { needsScores, unitOf } from '../train/objective.ts'
import type { TrainSettings } from './config.ts'
import { isPreference, type Lesson, lessonOf, type ObjectiveName } from './objectives.ts'

/** Groups before they are tokens. */
export interface TrainText {
  readonly train: readonly Group[]
  readonly heldOut: readonly Group[]
  readonly loaded: readonly LoadedData[]
}

export interface TrainData {
  readonly train: readonly EncodedGroup[]
  readonly heldOut: readonly EncodedGroup[]
  readonly verdicts: Encoding['verdicts']
}

/** What is loaded for each lesson. */
const WANTED: { readonly [L in Lesson]: Wanted } = {
  preferences: 'preferences',
  demonstrations: 'demonstrations',
  verdicts: 'members',
}

/**
 * Loads the groups, and holds some out where the run evaluates.
 * @throws UserError where a problem stands in the file of `check_leak` too.
 */
export async function* loadTrainText(settings: TrainSettings): AsyncGenerator<RunEvent, TrainText> {
  const { neutral, step_separator: separator, strict } = settings
  const wanted: Wanted = unitOf(settings.loss_type) === 'member' ? 'members' : WANTED[lessonOf(settings)]
  const options = { neutral, separator, strict, wanted }
  const data = await loadGroups(settings.dataset_path, options).catch((error) => refuseUnlabelled(error, settings))
  yield* lossEvents(data)
  if (settings.reward_model !== undefined) {
    yield { type: 'warning', message: `the data are labelled: --reward_model ${settings.reward_model} is not asked` }
  }
  if (settings.check_leak !== undefined) {
    const leak = await describeLeak(data.groups, settings.check_leak)
    if (leak !== undefined) throw new UserError(`--check_leak: ${leak}. What is measured on them says nothing`)
  }
  if (settings.eval_strategy === 'no') return { train: data.groups, heldOut: [], loaded: [data] }
  const path = settings.eval_dataset_path
  if (path === undefined) return { ...splitHeldOut(data.groups, settings), loaded: [data] }
  const held = await loadGroups(path, options)
  yield* lossEvents(held)
  const leak = isText(data.groups) ? await describeLeak(data.groups, path) : undefined
  if (leak !== undefined) yield { type: 'warning', message: `${leak}: what is measured on them says nothing` }
  return { train: data.groups, heldOut: held.groups, loaded: [data, held] }
}

/** Says what becomes of unlabelled rows, and of the judge that was named for them. */
function refuseUnlabelled(error: unknown, { reward_model: judge }: TrainSettings): never {
  if (!(error instanceof UnlabelledError)) throw error
  const advice =
    judge === undefined
      ? 'name a --reward_model, and solutions of them are sampled and judged first, or train on rows that are labelled'
      : 'solutions of them have to be sampled and judged first: that is `stepdpo run`, or `trainOnAny` in TypeScript'
  throw new UserError(`${error.message}; ${advice}`, { cause: error })
}

function splitHeldOut(groups: readonly Group[], settings: TrainSettings) {
  const split = splitByProblem(groups, settings.eval_split, settings.seed)
  if (split.heldOut.length > 0) return split
  throw new UserError(`${settings.dataset_path} asks one problem only, none can be held out: say --eval_strategy no`)
}

function isText(groups: readonly Group[]): boolean {
  return groups.every(({ prompt }) => 'messages' in prompt || typeof prompt.raw === 'string')
}

/** What problems the groups and another file have in common, or undefined. */
async function describeLeak(groups: readonly Group[], other: string): Promise<string | undefined> {
  const { leaks } = await findLeaks(groups, other)
  if (leaks.length === 0) return undefined
  const [first] = leaks
  const problem = JSON.stringify(first.problem.slice(0, 60))
  return `${leaks.length} problems that are trained on stand in ${other} too, the first at ${showPlace(first.place)}: ${problem}`
}

/** What of a data set is not used, once for each reason. */
function* lossEvents({ counts }: LoadedData): Generator<RunEvent> {
  const { rows, members, badRows } = counts
  if (rows.bad > 0) {
    const [{ place, reason }] = badRows
    yield { type: 'rows-dropped', count: rows.bad, total: rows.read, reason, example: showPlace(place), what: 'rows' }
  }
  yield* tallyEvents(rows.dropped, rows.read, 'rows')
  yield* tallyEvents(members.dropped, members.read, 'completions')
}

function* tallyEvents(dropped: ReadonlyMap<string, Tally>, total: number, what: string): Generator<RunEvent> {
  for (const [reason, { count, places }] of dropped) {
    yield { type: 'rows-dropped', count, total, reason, example: showPlace(places[0]), what }
  }
}

/** What text becomes tokens by. */
export interface Encoding {
  /** Undefined where all rows are token ids. */
  readonly encoder: Encoder | undefined
  /** Of a process reward model: how it reads solutions, in tokens, and as its folder will say it. */
  readonly verdicts: { readonly frame: VerdictFrame; readonly settings: VerdictSettings } | undefined
}

/** The tokens of groups, as the objective learns from them. */
function encode(
  groups: readonly Group[],
  { encoder, verdicts }: Encoding,
  options: EncodeOptions,
  settings: TrainSettings,
): EncodedData {
  switch (lessonOf(settings)) {
    case 'verdicts':
      if (verdicts === undefined) throw new UserError('objective prm learns from text, and these rows are token ids')
      return encodeVerdicts(groups, verdicts.frame, options)
    case 'demonstrations':
      return encodeMembers(groups, encoder, options, false)
    case 'preferences':
      return unitOf(settings.loss_type) === 'member'
        ? encodeMembers(groups, encoder, options, true)
        : encodeGroups(groups, encoder, options)
  }
}

/** Says where an objective would compare more of a solution than the rows have. */
function* cutShortEvents(groups: readonly Group[], objective: ObjectiveName): Generator<RunEvent> {
  const cut = isPreference(objective) ? countCutShort(groups, objective) : 0
  if (cut === 0) return
  const total = groups.reduce((count, { members }) => count + members.length, 0)
  const message =
    `objective ${objective}: the rows do not say how the solutions of ${cut} of ${total} steps go on: ` +
    'of these the step is all that is compared'
  yield { type: 'warning', message }
}

/** Whole problems until there are `limit` groups; all where it is 0. */
function firstProblems(groups: readonly EncodedGroup[], limit: number): readonly EncodedGroup[] {
  if (limit === 0) return groups
  const sizes = new Map<string, number>()
  for (const { problem } of groups) sizes.set(problem, (sizes.get(problem) ?? 0) + 1)
  const kept = new Set<string>()
  let count = 0
  for (const [problem, size] of sizes) {
    if (count >= limit) break
    kept.add(problem)
    count += size
  }
  return groups.filter(({ problem }) => kept.has(problem))
}

/**
 * The tokens of the groups. `tokens` is the number of rows of the model's embedding.
 * @throws UserError where no pair is left.
 */
export function* encodeTrainText(
  text: TrainText,
  encoding: Encoding,
  settings: TrainSettings,
  tokens: number,
): Generator<RunEvent, TrainData> {
  const options = {
    maxLength: settings.max_length,
    maxPromptLength: settings.max_prompt_length ?? settings.max_length,
    maxRowTokens: settings.pack === 'none' ? 2 * settings.max_length : settings.max_row_tokens,
    pairs: settings.group_pairs,
    vocabularySize: tokens,
    stepTemperature: settings.step_temperature,
    wholeGroups: unitOf(settings.loss_type) === 'list',
    needsScores: settings.soft_labels || (unitOf(settings.loss_type) === 'pair' && needsScores(settings.loss_type)),
    ...(isPreference(settings.objective) && { objective: settings.objective }),
  }
  const [train, heldOut] = [text.train, text.heldOut].map((groups) => encode(groups, encoding, options, settings))
  const unit = lessonOf(settings) === 'verdicts' ? 'rated step' : 'pair'
  for (const { dropped, groups } of [train, heldOut]) {
    yield* tallyEvents(
      dropped,
      pairCount(groups) + [...dropped.values()].reduce((sum, { count }) => sum + count, 0),
      `${unit}s`,
    )
  }
  yield* cutShortEvents(text.train, settings.objective)
  if (train.truncated + heldOut.truncated > 0) {
    const message =
      `${train.truncated + heldOut.truncated} prefixes are longer than max_length ${options.maxLength} allows: ` +
      'their oldest steps are left out'
    yield { type: 'warning', message }
  }
  if (train.groups.length === 0) {
    const reasons = [...train.dropped].map(([reason, { count }]) => `${count} ${unit}s: ${reason}`)
    const why = reasons.length > 0 ? reasons.join('; ') : 'no prefix has a better and a worse continuation'
    throw new UserError(`${settings.dataset_path}: no ${unit} is left to train on. ${why}`)
  }
  if (text.heldOut.length > 0 && heldOut.groups.length === 0) {
    throw new UserError(`no ${unit} is left to evaluate on: say --eval_strategy no, or hold more out with --eval_split`)
  }
  return {
    train: train.groups,
    heldOut: firstProblems(heldOut.groups, settings.max_eval_groups),
    verdicts: encoding.verdicts,
  }
}

/** What an objective learns from, in words. */
export function examplesOf(settings: TrainSettings, groups: readonly EncodedGroup[]): string {
  const count = (total: number): string => total.toLocaleString('en-US')
  const members = groups.reduce((sum, group) => sum + group.members.length, 0)
  const inGroups = `in ${count(groups.length)} groups`
  switch (lessonOf(settings)) {
    case 'verdicts':
      return `${count(groups.length)} rated steps`
    case 'demonstrations':
      return `${count(groups.length)} groups of demonstrations`
    case 'preferences':
      return unitOf(settings.loss_type) === 'member'
        ? `${count(members)} rated completions ${inGroups}`
        : `${count(pairCount(groups))} pairs ${inGroups}`
  }
}
