/** @file How many columns of a terminal a text takes, and cutting it to fit. */

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** Latin, punctuation, arrows, mathematical signs, box drawing and blocks: one column each, nothing combines. */
const NARROW = /^[\u0020-\u007e\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2190-\u2319\u2500-\u25fc]*$/
/** East Asian wide and full-width blocks (Unicode Standard Annex 11) and what is shown as a picture. */
const WIDE =
  /^[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u4dbf\u4e00-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18fff}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]/u
const EMOJI_STYLE = '\ufe0f'
const INVISIBLE = /^[\p{Mark}\p{Default_Ignorable_Code_Point}]+$/u

/**
 * The text on one line, safe to show: white space becomes a space, a control character (an escape sequence begins with
 * one) or a mark that reorders text becomes `�`.
 */
export function printable(text: string): string {
  return NARROW.test(text) ? text : text.replace(/\s/g, ' ').replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '�')
}

/** The same for a text of several lines: its line ends and tabs stay. */
export function printableText(text: string): string {
  return text.replace(/[^\n\t]+/g, printable)
}

/** Columns that a printable text takes. */
export function displayWidth(text: string): number {
  if (NARROW.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment)
  return width
}

function graphemeWidth(grapheme: string): number {
  if (NARROW.test(grapheme)) return 1
  if (WIDE.test(grapheme) || grapheme.includes(EMOJI_STYLE)) return 2
  return INVISIBLE.test(grapheme) ? 0 : 1
}

/** The text if it fits into `width` columns, else its beginning and `…`. */
export function cutText(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  if (width < 1) return ''
  let kept = ''
  let room = width - 1
  for (const { segment } of graphemes.segment(text)) {
    room -= graphemeWidth(segment)
    if (room < 0) break
    kept += segment
  }
  return kept + '…'
}
