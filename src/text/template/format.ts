/** @file Texts with placeholders: Python's `text % values`. */
import { checkSize } from './bounds.ts'
import { intOf } from './calls.ts'
import { print, represent } from './print.ts'
import { countCharacters, joinTexts } from './strings.ts'
import { isKind, type Value } from './values.ts'

const PIECE = /%(?<left>-?)(?<zero>0?)(?<width>\d*)(?:\.(?<digits>\d+))?(?<type>.?)|[^%]+/gsu

/** @throws Error for placeholders other than %s, %r, %d, %i and %%, and where the values are too many or too few. */
export function formatPercent(template: string, values: Value): string {
  const given = isKind(values, 'tuple') ? values.items : [values]
  let used = 0
  const next = (): Value => {
    if (used >= given.length) throw new Error('not enough values for the placeholders of a text')
    used += 1
    return given[used - 1]
  }
  const pieces = Array.from(template.matchAll(PIECE), ({ 0: all, groups }) => {
    if (groups?.type === undefined) return all
    if (all === '%%') return '%'
    const { left, zero, width, digits, type } = groups
    if (digits !== undefined) throw new Error(`the placeholder ${all} is not supported`)
    checkSize(Number(width))
    return pad(convert(all, type, next), Number(width), left !== '', zero !== '' && type !== 's' && type !== 'r')
  })
  // Python lets a dict that no placeholder names pass.
  if (used < given.length && !isKind(values, 'dict')) throw new Error('too many values for the placeholders of a text')
  return joinTexts('', pieces)
}

function convert(all: string, type: string, next: () => Value): string {
  if (type === 's') return print(next())
  if (type === 'r') return represent(next())
  if (type === 'd' || type === 'i') return String(intOf(next(), all))
  throw new Error(`the placeholder ${all.slice(0, 40)} is not supported`)
}

function pad(value: string, width: number, toLeft: boolean, withZeros: boolean): string {
  const missing = ' '.repeat(Math.max(0, width - countCharacters(value)))
  if (toLeft) return value + missing
  if (!withZeros) return missing + value
  return value.startsWith('-')
    ? `-${missing.replaceAll(' ', '0')}${value.slice(1)}`
    : missing.replaceAll(' ', '0') + value
}
