/** @file Where the names of a template have their values. */
import { type Part, type Symbols, symbolsOf } from './symbols.ts'
import type { Block, Target } from './syntax.ts'
import { isKind, itemsOf, missing, type Value } from './values.ts'

/** A part of a template while it is run. */
export interface Scope {
  readonly values: Map<string, Value>
  readonly symbols: Symbols
  readonly outer: Scope | undefined
  /** The variables of the template, and what it sets outside of all loops and macros. */
  readonly context: Map<string, Value>
}

export function openRoot(body: Block, context: Map<string, Value>): Scope {
  return openScope(symbolsOf({ key: body, parameters: [], body }), context)
}

/** Starts a part inside of another; its parameters are yet to be given. */
export function openPart(outer: Scope, part: Part): Scope {
  return openScope(symbolsOf(part, outer.symbols), outer.context, outer)
}

function openScope(symbols: Symbols, context: Map<string, Value>, outer?: Scope): Scope {
  const scope: Scope = { values: new Map(), symbols, outer, context }
  for (const [name, start] of symbols.starts) {
    if (start === 'outer' && outer !== undefined) scope.values.set(name, lookUp(outer, name))
    else if (start !== 'parameter')
      scope.values.set(name, start === 'variable' ? fromContext(scope, name) : unknown(name))
  }
  return scope
}

/** A scope of one more name, which no template can set. */
export function withName(scope: Scope, name: string, value: Value): Scope {
  return { ...scope, outer: scope, values: new Map([[name, value]]) }
}

export function lookUp(scope: Scope, name: string): Value {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    const value = at.values.get(name)
    if (value !== undefined) return value
  }
  return fromContext(scope, name)
}

function fromContext({ context }: Scope, name: string): Value {
  const value = context.get(name)
  if (value === undefined && (name === 'self' || name === 'super')) throw new Error(`'${name}' is not supported`)
  return value === undefined ? unknown(name) : value
}

function unknown(name: string): Value {
  return missing(`'${name.slice(0, 40)}' is undefined`)
}

/** Sets a name of the scope. */
export function setName(scope: Scope, name: string, value: Value): void {
  scope.values.set(name, value)
  if (scope.outer === undefined) scope.context.set(name, value)
}

/** @throws Error where a tuple has another length than the targets, and for members of what is no namespace. */
export function assign(scope: Scope, target: Target, value: Value): void {
  if (target.type === 'name') {
    setName(scope, target.name, value)
  } else if (target.type === 'member') {
    const namespace = lookUp(scope, target.object)
    if (!isKind(namespace, 'namespace')) throw new Error('cannot assign attribute on non-namespace object')
    setMember(namespace.values, target.name, value)
  } else {
    const items = itemsOf(value)
    const { length } = target.items
    if (items.length !== length) throw new Error(`expected ${length} values to unpack, found ${items.length}`)
    target.items.forEach((each, i) => {
      assign(scope, each, items[i])
    })
  }
}

/** transformers lets no template store a name that starts with an underscore. */
export function setMember(members: Map<string, Value>, name: string, value: Value): void {
  if (name.startsWith('_')) throw new Error(`a namespace cannot store '${name.slice(0, 40)}'`)
  members.set(name, value)
}
