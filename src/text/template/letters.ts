/** @file Upper and lower case, and what letters and digits are, by Python's str. */

/** Letters whose title case is neither their upper case nor made from it. */
const ODD_TITLE =
  /[\u0149\u01c4-\u01cc\u01f1-\u01f3\u10d0-\u10fa\u10fd-\u10ff\u1f80-\u1faf\u1fb2-\u1fb4\u1fb7\u1fbc\u1fc2-\u1fc4\u1fc7\u1fcc\u1ff2-\u1ff4\u1ff7\u1ffc]/

/** Python's capitalize(). @throws Error for the few letters whose title case is a letter of its own. */
export function capitalize(text: string): string {
  const first = firstOf(text)
  // The whole is made small, since that of a sigma depends on what is around it.
  return titleOf(first) + text.toLowerCase().slice(first.toLowerCase().length)
}

function firstOf(text: string): string {
  return text === '' ? '' : String.fromCodePoint(text.codePointAt(0) ?? 0)
}

function titleOf(letter: string): string {
  if (ODD_TITLE.test(letter)) throw new Error(`the title case of '${letter}' is not supported`)
  const upper = letter.toUpperCase()
  const first = firstOf(upper)
  return first + upper.slice(first.length).toLowerCase()
}

/** Python's str.title(), where whatever is no letter starts a word. */
export function titleCase(text: string): string {
  return text.replace(/\p{Cased}+/gu, capitalize)
}

/** The filter `title` of jinja2, where only blanks, hyphens and opening brackets start one. */
export function titleWords(text: string): string {
  return text.replace(/[^-\s({[<]+/g, (word) => {
    const first = firstOf(word)
    return first.toUpperCase() + word.slice(first.length).toLowerCase()
  })
}

export function swapCase(text: string): string {
  return text.replace(/\p{Lowercase}+|\p{Uppercase}+/gu, (run) => {
    if (run.includes('Σ')) throw new Error('swapcase of a sigma is not supported')
    return /\p{Lowercase}/u.test(run) ? run.toUpperCase() : run.toLowerCase()
  })
}

export function isLower(text: string): boolean {
  return /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text)
}

export function isUpper(text: string): boolean {
  return /\p{Uppercase}/u.test(text) && !/[\p{Lowercase}\p{Lt}]/u.test(text)
}

/** @throws Error for characters beyond decimal digits of which JavaScript does not know whether they are digits. */
export function isDigits(text: string): boolean {
  if (/\p{No}/u.test(text)) throw new Error('isdigit of digits that are no decimal digits is not supported')
  return /^\p{Nd}+$/u.test(text)
}

/** @throws Error for ideographs, of which some are numbers. */
export function isNumeric(text: string): boolean {
  if (/\p{Script=Han}/u.test(text)) throw new Error('isnumeric of ideographs is not supported')
  return /^\p{N}+$/u.test(text)
}

export function isAlphanumeric(text: string): boolean {
  return /^[\p{L}\p{N}]+$/u.test(text)
}
