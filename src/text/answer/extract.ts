/** @file The final answer that a completion states. Linear time on any text. */
import { splitSteps } from '../steps.ts'

export interface ExtractOptions {
  /** What is taken where no answer is stated. */
  readonly fallback?: 'none' | 'last-number'
}

/** What is longer is no answer. */
const MAX_LENGTH = 1000

const SECTION = /^# ?Answer[ \t]*$/gm
const HASHES = /^[ \t]*####[ \t]*(\S.*)$/gm
const NUMBER_ONLY = /^[-−+$\\]{0,3}[\d.,]*\d%?$/
/** Boxes, single characters with a backslash before them, braces. */
const BRACES = /\\(?:boxed|fbox)(?![a-zA-Z])[ \t]*\{?|\\[\s\S]|[{}]/g
/** "the answer is", "Answer:", "**Final answer:**". */
const PHRASE = /\banswers?\b[*_]{0,3}[ \t]?(?:is|are|=|:)[*_]{0,3}:?[*_]{0,3}/gi
/** What is said of an answer, and is none. */
const VERDICT = /^(?:correct|incorrect|right|wrong)$|^not\b/i
const LAST_NUMBER = /[-−]?\$?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?%?/g
/** What encloses an answer and is no part of it. */
const WRAPPERS: readonly (readonly [string, string])[] = [
  ['**', '**'],
  ['__', '__'],
  ['$$', '$$'],
  ['$', '$'],
  ['\\(', '\\)'],
  ['\\[', '\\]'],
  ['`', '`'],
  ['"', '"'],
]

/** What `\boxed{` or the like stands in: the content of each box that is closed, and where it begins. */
function boxesOf(text: string): { readonly start: number; readonly content: string }[] {
  const boxes: { start: number; content: string }[] = []
  const open: { start: number; isBox: boolean }[] = []
  for (const { 0: mark, index } of text.matchAll(BRACES)) {
    const start = index + mark.length
    const isBox = /^\\(?:boxed|fbox)/.test(mark)
    if (mark.endsWith('{') && mark !== '\\{') open.push({ start, isBox })
    else if (isBox) boxes.push({ start, content: /^[^\s$]{0,100}/.exec(text.slice(start, start + 100))?.[0] ?? '' })
    else if (mark === '}') {
      const box = open.pop()
      if (box?.isBox) boxes.push({ start: box.start, content: text.slice(box.start, index) })
    }
  }
  return boxes
}

/** Without white space, enclosing delimiters and the full stop around it; null where nothing or too much is left. */
function tidy(text: string): string | null {
  if (text.length > MAX_LENGTH) return null
  const bare = text.trim().replace(/^:\s*|[.,;:\s]+$/g, '')
  for (const [opener, closer] of WRAPPERS) {
    const inside = bare.slice(opener.length, -closer.length)
    const isWrapped = bare.startsWith(opener) && bare.endsWith(closer) && bare.length > opener.length + closer.length
    if (isWrapped && !inside.includes(opener) && !inside.includes(closer)) return tidy(inside)
  }
  return bare === '' ? null : bare
}

function fromBox(text: string): string | null {
  const boxes = boxesOf(text).sort((a, b) => b.start - a.start)
  for (const { content } of boxes) {
    const answer = tidy(content)
    if (answer !== null) return answer
  }
  return null
}

/** The last `#### x`: what a number follows, or what ends the text; others are headings. */
function fromHashes(text: string): string | null {
  const end = text.trimEnd().length
  const found = [...text.matchAll(HASHES)].filter(({ 0: line, 1: content, index }) => {
    return index + line.trimEnd().length === end || NUMBER_ONLY.test(content.trim())
  })
  return found.length === 0 ? null : tidy(found[found.length - 1][1])
}

/** To the end of its line and sentence, which decimals, abbreviations and display mathematics do not end. */
function firstSentence(text: string): string {
  const marked = `= ${text.trimStart()}` // "5. " at the start of a text would be an item of a list
  return splitSteps(splitSteps(marked, 'newline').steps[0].text, 'sentence').steps[0].text.slice(1)
}

function fromPhrase(text: string): string | null {
  for (const { 0: phrase, index } of [...text.matchAll(PHRASE)].reverse()) {
    const start = index + phrase.length
    const answer = tidy(firstSentence(text.slice(start, start + MAX_LENGTH)))
    if (answer !== null && !VERDICT.test(answer)) return answer
  }
  return null
}

/** PRM800K ends solutions with the line "# Answer" and one more; several lines are a text like any other. */
function fromSection(text: string): string | null {
  const heading = [...text.matchAll(SECTION)].at(-1)
  if (heading === undefined) return null
  const section = text.slice(heading.index + heading[0].length).trim()
  return fromBox(section) ?? fromPhrase(section) ?? (section.includes('\n') ? null : tidy(section))
}

function lastNumber(text: string): string | null {
  return [...text.matchAll(LAST_NUMBER)].at(-1)?.[0] ?? null
}

/**
 * The final answer that a completion states: the section "# Answer" of PRM800K, else the last `#### x` of GSM8K, else
 * the last `\boxed{…}` or `\fbox{…}`, else what follows the last "the answer is" or "Answer:"; without the delimiters
 * around it. Null where there is none, unless `fallback` takes the last number, which is a guess: it also takes the
 * numbers of solutions that were cut off.
 */
export function extractAnswer(text: string, { fallback = 'none' }: ExtractOptions = {}): string | null {
  const stated = fromSection(text) ?? fromHashes(text) ?? fromBox(text) ?? fromPhrase(text)
  return stated ?? (fallback === 'last-number' ? lastNumber(text) : null)
}
