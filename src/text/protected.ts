/** @file The stretches of a text in which no step ends: code and mathematics. Linear time on any text. */

/** `[start, end)` in UTF-16 units. */
export interface Stretch {
  readonly start: number
  readonly end: number
}

/**
 * Delimiters, inline code, and backslashes with any other character after them, so that `\\[2pt]` and `\$` open nothing.
 * A line of backticks that has more of them is inline code (CommonMark 4.5).
 */
const DELIMITER =
  /^ {0,3}(?:`{3,}(?![^\n]*`)|~{3,})|(?<!`)`[^`\n]+`(?!`)|\$\$|\[\/?asy\]|\\(?:begin|end)\{[A-Za-z]{1,30}\*?\}|\\[\s\S]/gm

const CLOSERS: ReadonlyMap<string, string> = new Map([
  ['\\[', '\\]'],
  ['\\(', '\\)'],
  ['$$', '$$'],
  ['[asy]', '[/asy]'],
])

const INLINE_CODE = /^`[^`]+`$/

/**
 * Code fences, inline code, drawings in `[asy]…[/asy]`, `$$…$$`, `\[…\]`, `\(…\)` and `\begin{…}…\end{…}`, outermost ones only, in order. Mathematics that is
 * never closed is text like any other; a fence that is never closed runs to the end of the text (CommonMark 4.5).
 */
export function findProtected(text: string): Stretch[] {
  const found = [...text.matchAll(DELIMITER)]
  const lastAt = new Map(found.map(({ 0: mark, index }) => [mark, index]))
  const stretches: Stretch[] = []
  let opened: { readonly start: number; readonly closer: string } | null = null
  for (const { 0: mark, index } of found) {
    if (opened === null && INLINE_CODE.test(mark)) stretches.push({ start: index, end: index + mark.length })
    else if (opened === null) {
      const closer = closerOf(mark)
      const isOpener = closer !== undefined && (isFence(mark) || (lastAt.get(closer) ?? -1) > index)
      if (isOpener) opened = { start: index, closer }
    } else if (closes(mark, opened.closer)) {
      stretches.push({ start: opened.start, end: index + mark.length })
      opened = null
    }
  }
  if (opened !== null) stretches.push({ start: opened.start, end: text.length })
  return stretches
}

function closerOf(mark: string): string | undefined {
  if (isFence(mark)) return mark.trimStart()
  return mark.startsWith('\\begin') ? mark.replace('begin', 'end') : CLOSERS.get(mark)
}

function isFence(mark: string): boolean {
  return /^ *[`~]{3}/.test(mark)
}

/** A fence is closed by one of its kind that is at least as long. */
function closes(mark: string, closer: string): boolean {
  return isFence(closer) ? mark.trimStart().startsWith(closer) : mark === closer
}
