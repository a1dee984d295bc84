/** @file Arguments of a call, by the parameters that Python's signature has. */
import { print } from './print.ts'
import { type Arguments, isKind, kindOf, type Value } from './values.ts'

export type Bound<N extends string> = Readonly<Partial<Record<N, Value>>>

/**
 * The arguments by parameter name; those that were not given are absent.
 * @throws Error for too many, and for names that the callee does not have.
 */
export function bind<N extends string>(callee: string, args: Arguments, names: readonly N[]): Bound<N> {
  if (args.positional.length > names.length) throw new Error(`${callee} takes at most ${names.length} arguments`)
  const bound: Partial<Record<N, Value>> = {}
  args.positional.forEach((value, i) => {
    bound[names[i]] = value
  })
  for (const [given, value] of args.keywords) {
    const name = names.find((each) => each === given)
    if (name === undefined) throw new Error(`${callee} has no argument '${given.slice(0, 40)}' that is supported`)
    if (bound[name] !== undefined) throw new Error(`${callee} was given '${name}' twice`)
    bound[name] = value
  }
  return bound
}

/** @throws Error for what is no text. */
export function textOf(value: Value | undefined, what: string): string {
  if (typeof value === 'string') return value
  throw new Error(`${what}: expected a text, found ${value === undefined ? 'nothing' : kindOf(value)}`)
}

/** A text, or undefined for None and for an argument that was not given. */
export function optionalText(value: Value | undefined, what: string): string | undefined {
  return value === undefined || value === null ? undefined : textOf(value, what)
}

/** @throws Error for what is no whole number. */
export function intOf(value: Value | undefined, what: string, fallback?: number): number {
  if (value === undefined && fallback !== undefined) return fallback
  if (typeof value === 'boolean') return Number(value)
  if (typeof value === 'number') return value
  throw new Error(`${what}: expected a whole number, found ${value === undefined ? 'nothing' : kindOf(value)}`)
}

/** What a filter for texts works on: jinja2's soft_str. */
export function softText(value: Value, what: string): string {
  if (isKind(value, 'markup')) throw new Error(`${what} of a text marked by safe or escape is not supported`)
  return print(value)
}
