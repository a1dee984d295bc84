/** @file Completions cut into reasoning steps, and put together again without the loss of a character. */
import { codeOf, messageOf, UserError } from '../base/errors.ts'
import { withDeadline } from './deadline.ts'
import { findProtected, type Stretch } from './protected.ts'

export const SPLITTERS = ['auto', 'step', 'blank', 'newline', 'numbered', 'sentence'] as const
export type SplitterName = (typeof SPLITTERS)[number]

/** A name, or what stands between two steps (where a match is empty, a step begins at it). */
export type Splitter = SplitterName | RegExp

export interface SplitText {
  /** What stands before the first step: white space, or what a pattern matched. */
  readonly before: string
  /** Steps without white space around them, each with all that follows it up to the next. None is blank. */
  readonly steps: readonly { readonly text: string; readonly after: string }[]
}

interface Line extends Stretch {
  readonly text: string
}

/** Where a text may be cut, in order: what is cut out, often nothing. */
type Cuts = readonly Stretch[]

/** Tried again with four times as much: a second in all. */
const PATTERN_DEADLINE_MS = 200

/** `Step 3:`, `**Step 3.**`, `### Step 3 (check)`, `- Step 3:`, alone or before text, at the start of a line. */
const STEP_MARK =
  /^[ \t]{0,8}(?:(?:#{1,6}|[-*+])[ \t]{1,4})?[*_]{0,3}step[ \t]{1,4}\d{1,4}(?=[*_]{0,3}(?:[ \t]{0,4}[:.)(\u2013\u2014-]|\s*$))/i
/** `3. `, `3) `, `(3) `, `**3.** `: spaces before, and the number. */
const ITEM_MARK = /^([ \t]{0,12})[*_]{0,2}\(?(\d{1,4})[.)][*_]{0,2}(?:\s|$)/

/** The end of a sentence, and white space before something that can begin the next one. */
const SENTENCE_END = /[.!?][)\]"'”’*]{0,3}(?=\s)|[。！？]/g
const SENTENCE_START = /^["'“‘([*$\\#-]{0,3}[\p{Lu}\p{Lo}\p{N}\\$]/u
/** What ends in a full stop within a sentence: abbreviations (no initials: "to the point A."), the number of an item. */
const NO_END = /(?:^|[\s(])(?:e\.g|i\.e|cf|vs|approx|resp|eqs?|figs?|thm|mr|mrs|ms|dr|prof)\.$/i
const ITEM_ALONE = /(?:^|\n)[ \t]*[*_]{0,2}\(?\d{1,4}\.$/

const splitters: { readonly [N in Exclude<SplitterName, 'auto'>]: (text: string) => Cuts } = {
  step: (text) =>
    linesOf(text)
      .filter((line) => STEP_MARK.test(line.text))
      .map(cutBefore),
  blank: (text) => linesOf(text).filter(isAfterBlank).map(cutBefore),
  newline: (text) => linesOf(text).map(cutBefore),
  numbered: (text) => itemsOf(linesOf(text)).map(cutBefore),
  sentence: (text) => sentenceCuts(text),
}

/**
 * The splitter of a setting: a name, or a pattern between slashes with flags behind, such as `/\n(?=\d+:)/i`.
 * @throws UserError for anything else, and for a pattern that is none.
 */
export function parseSplitter(value: string): Splitter {
  const name = SPLITTERS.find((known) => known === value)
  if (name !== undefined) return name
  const written = /^\/(.+)\/([dgimsuv]*)$/s.exec(value)
  if (written === null)
    throw new UserError(`splitter: expected ${SPLITTERS.join(', ')} or /pattern/flags, got '${value}'`)
  try {
    return new RegExp(written[1], written[2])
  } catch (error) {
    throw new UserError(`splitter: ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Cuts a completion into steps. No cut falls into code, display or `\(…\)` mathematics or an environment, whatever the
 * splitter. `auto` is the first of these that finds something: `step` where a line begins with
 * "Step k"; `numbered` where the items of one list are at least half as many as the paragraphs; `blank` where there
 * is a blank line; `newline` where there is a line end; `sentence`.
 * @throws UserError for a pattern that takes too long on this text.
 */
export function splitSteps(text: string, splitter: Splitter): SplitText {
  const closed = findProtected(text)
  if (typeof splitter !== 'string') return cut(text, cutsOutside(patternCuts(text, splitter), closed))
  const cutsOf = (name: Exclude<SplitterName, 'auto'>): Cuts => cutsOutside(splitters[name](text), closed)
  return cut(text, splitter === 'auto' ? chooseCuts(text, cutsOf) : cutsOf(splitter))
}

/** The text that was split. */
export function joinSteps({ before, steps }: SplitText): string {
  return before + steps.map((step) => step.text + step.after).join('')
}

function chooseCuts(text: string, cutsOf: (name: Exclude<SplitterName, 'auto'>) => Cuts): Cuts {
  const marked = cutsOf('step')
  if (marked.length > 0) return marked
  const [items, paragraphs] = [cutsOf('numbered'), cutsOf('blank')]
  if (items.length > 1 && 2 * items.length >= cut(text, paragraphs).steps.length) return items
  return [paragraphs, cutsOf('newline')].find((cuts) => cut(text, cuts).steps.length > 1) ?? cutsOf('sentence')
}

/** The pieces between the cuts, white space around them put aside; blank pieces belong to what is before them. */
function cut(text: string, cuts: Cuts): SplitText {
  const pieces: Stretch[] = []
  let from = 0
  for (const { start, end } of [...cuts, { start: text.length, end: text.length }]) {
    const piece = text.slice(from, start)
    const trimmed = piece.trimStart()
    const first = from + piece.length - trimmed.length
    if (trimmed !== '') pieces.push({ start: first, end: first + trimmed.trimEnd().length })
    from = end
  }
  const steps = pieces.map(({ start, end }, index) => ({
    text: text.slice(start, end),
    after: text.slice(end, pieces[index + 1]?.start ?? text.length),
  }))
  return { before: text.slice(0, pieces[0]?.start ?? text.length), steps }
}

/** Both lists are in order and free of overlaps. */
function cutsOutside(cuts: Cuts, closed: readonly Stretch[]): Cuts {
  let next = 0
  return cuts.filter(({ start, end }) => {
    while (next < closed.length && closed[next].end <= start) next++
    return next === closed.length || end <= closed[next].start
  })
}

function cutBefore({ start }: Stretch): Stretch {
  return { start, end: start }
}

function linesOf(text: string): Line[] {
  const lines: Line[] = []
  let start = 0
  while (start < text.length) {
    const newline = text.indexOf('\n', start)
    const end = newline < 0 ? text.length : newline + 1
    lines.push({ start, end, text: text.slice(start, end) })
    start = end
  }
  return lines
}

function isAfterBlank(line: Line, index: number, lines: readonly Line[]): boolean {
  return index > 0 && lines[index - 1].text.trim() === '' && line.text.trim() !== ''
}

/** The items of the list that the first item begins: as far in as it, and each one more than the last. */
function itemsOf(lines: readonly Line[]): Line[] {
  const items: Line[] = []
  let indent = ''
  let next = 1
  for (const line of lines) {
    const mark = ITEM_MARK.exec(line.text)
    if (mark === null || Number(mark[2]) !== next || (items.length > 0 && mark[1] !== indent)) continue
    items.push(line)
    indent = mark[1]
    next++
  }
  return items
}

/** Sentences end at their marks and at blank lines. */
function sentenceCuts(text: string): Cuts {
  const ends: Stretch[] = []
  for (const match of text.matchAll(SENTENCE_END)) {
    const end = match.index + match[0].length
    const before = text.slice(Math.max(0, match.index - 16), match.index + 1)
    const after = text.slice(end, end + 80).trimStart()
    if (!NO_END.test(before) && !ITEM_ALONE.test(before) && SENTENCE_START.test(after))
      ends.push(cutBefore({ start: end, end }))
  }
  return [...ends, ...splitters.blank(text)].sort((a, b) => a.start - b.start)
}

function patternCuts(text: string, pattern: RegExp): Cuts {
  const flags = pattern.flags.includes('g') ? pattern.flags : `${pattern.flags}g`
  const all = new RegExp(pattern.source, flags)
  const find = (): Cuts =>
    [...text.matchAll(all)].map(({ 0: found, index }) => ({ start: index, end: index + found.length }))
  try {
    return withDeadline(PATTERN_DEADLINE_MS, find)
  } catch (error) {
    if (codeOf(error) !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
    throw new UserError(`the pattern ${pattern} takes more than 1 s on a text of ${text.length} characters`)
  }
}
