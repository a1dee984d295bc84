/** @file What a template may assign to: names, several of them at once, and members of a namespace. */
import { type Cursor, expect, isAt, peek, skipIf, take } from './cursor.ts'
import type { Target } from './syntax.ts'

/** Names that are values in every template. */
const RESERVED = new Set(['true', 'True', 'false', 'False', 'none', 'None'])

export function isTargetEnd(cursor: Cursor): boolean {
  return isAt(cursor, 'close') || isAt(cursor, 'operator', ')', '=')
}

/** One target, or several with commas between them. */
export function parseTarget(cursor: Cursor, isEnd: (cursor: Cursor) => boolean, withMembers = false): Target {
  const items: Target[] = []
  let isTuple = false
  while (!isEnd(cursor)) {
    items.push(parseOne(cursor, withMembers))
    if (!skipIf(cursor, 'operator', ',')) break
    isTuple = true
  }
  if (items.length === 0) throw new Error('expected a name to assign to')
  return isTuple ? { type: 'tuple', items } : items[0]
}

function parseOne(cursor: Cursor, withMembers: boolean): Target {
  if (skipIf(cursor, 'operator', '(')) {
    const inner = parseTarget(cursor, isTargetEnd)
    expect(cursor, 'operator', ')')
    return inner
  }
  const name = expect(cursor, 'name').value
  if (RESERVED.has(name)) throw new Error(`cannot assign to '${name}'`)
  const next = peek(cursor)
  if (!withMembers || next.type !== 'operator' || next.value !== '.') return { type: 'name', name }
  take(cursor)
  return { type: 'member', object: name, name: expect(cursor, 'name').value }
}
