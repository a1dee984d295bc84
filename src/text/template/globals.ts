/** @file The names that transformers gives to chat templates (apply_chat_template), besides the variables. */
import { formatDate } from '../format-date.ts'
import { MAX_RANGE } from './bounds.ts'
import { bind, intOf, textOf } from './calls.ts'
import { print } from './print.ts'
import { setMember } from './scope.ts'
import { type Arguments, dict, isKind, itemsOf, type Value } from './values.ts'

/** Of jinja2, but no chat template needs them. */
const UNSUPPORTED = ['cycler', 'joiner', 'lipsum']

/** `now` is the date that templates may print. */
export function createGlobals(now: Date): ReadonlyMap<string, Value> {
  const functions: Record<string, (args: Arguments) => Value> = {
    raise_exception: (args) => {
      throw new Error(print(bind('raise_exception', args, ['message']).message ?? ''))
    },
    strftime_now: (args) => formatDate(now, textOf(bind('strftime_now', args, ['format']).format, 'strftime_now')),
    range: makeRange,
    namespace: (args) => {
      const values = new Map<string, Value>()
      for (const [name, value] of membersOf(args)) setMember(values, print(name), value)
      return { kind: 'namespace', values }
    },
    dict: (args) => dict(membersOf(args)),
  }
  for (const name of UNSUPPORTED) {
    functions[name] = () => {
      throw new Error(`${name} is not supported`)
    }
  }
  return new Map(Object.entries(functions).map(([name, call]) => [name, { kind: 'function', name, call }]))
}

/** The entries of a dict or of pairs, and arguments by name after them: what Python's dict() takes. */
function membersOf({ positional, keywords }: Arguments): (readonly [Value, Value])[] {
  if (positional.length > 1) throw new Error('dict and namespace take one argument by position')
  const pairs = positional.flatMap((value) => {
    if (isKind(value, 'dict')) return [...value.entries.values()]
    return itemsOf(value).map((pair): readonly [Value, Value] => {
      const items = itemsOf(pair)
      if (items.length !== 2) throw new Error('dict and namespace take pairs')
      return [items[0], items[1]]
    })
  })
  return [...pairs, ...keywords]
}

/** Python's range. */
function makeRange(args: Arguments): Value {
  const { first, second, third } = bind('range', args, ['first', 'second', 'third'])
  const [start, stop] =
    second === undefined ? [0, intOf(first, 'range')] : [intOf(first, 'range'), intOf(second, 'range')]
  const step = intOf(third, 'range', 1)
  if (step === 0) throw new Error('range() with a step of zero')
  const count = Math.max(0, Math.ceil((stop - start) / step))
  if (!(count <= MAX_RANGE)) throw new Error(`range() of more than ${MAX_RANGE} numbers`)
  const items = Array.from({ length: count }, (_, index) => start + index * step)
  return { kind: 'range', items, bounds: [start, stop, step] }
}
