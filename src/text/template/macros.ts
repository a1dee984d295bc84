/** @file Macros: texts that a template makes from arguments. */
import { type Budget, callWithin } from './bounds.ts'
import { evaluate } from './evaluate.ts'
import { openPart, type Scope } from './scope.ts'
import type { Block, Signature } from './syntax.ts'
import { type Arguments, type Callable, dict, missing, tuple, type Value } from './values.ts'

type Render = (body: Block, scope: Scope) => string

/** A macro as a value: what its body makes of the arguments, seen from where it was defined. */
export function createMacro(signature: Signature, outer: Scope, budget: Budget, render: Render): Callable {
  const call = (args: Arguments): Value =>
    callWithin(budget, () => render(signature.body, bindParameters(signature, args, outer, budget)))
  return { kind: 'function', name: signature.name, call }
}

const SPECIAL = ['caller', 'varargs', 'kwargs']

function bindParameters(signature: Signature, args: Arguments, outer: Scope, budget: Budget): Scope {
  const { name, parameters, body } = signature
  const own = parameters.map((parameter) => parameter.name)
  const special = SPECIAL.filter((each) => signature.names.has(each) && !own.includes(each))
  const expressions = parameters.flatMap(({ fallback }) => fallback ?? [])
  const scope = openPart(outer, { key: body, parameters: [...own, ...special], expressions, body })
  const keywords = new Map(args.keywords)
  parameters.forEach((parameter, i) => {
    const given = i < args.positional.length ? args.positional[i] : keywords.get(parameter.name)
    if (i >= args.positional.length) keywords.delete(parameter.name)
    if (given !== undefined) scope.values.set(parameter.name, given)
  })
  const caller = keywords.get('caller')
  if (special.includes('caller')) {
    scope.values.set('caller', caller === undefined || caller === null ? missing('no caller defined') : caller)
    keywords.delete('caller')
  }
  const rest = args.positional.slice(parameters.length)
  if (special.includes('varargs')) scope.values.set('varargs', tuple(rest))
  else if (rest.length > 0) throw new Error(`macro '${name}' takes not more than ${parameters.length} arguments`)
  if (special.includes('kwargs')) scope.values.set('kwargs', dict(keywords))
  else if (keywords.size > 0) throw new Error(`macro '${name}' takes no argument '${[...keywords.keys()][0]}'`)
  fillParameters(signature, scope, budget)
  return scope
}

/** From left to right, so that a default sees what was given, and the defaults before it. */
function fillParameters({ parameters }: Signature, scope: Scope, budget: Budget): void {
  const absent = parameters.filter((parameter) => !scope.values.has(parameter.name))
  for (const { name } of absent) scope.values.set(name, missing(`parameter '${name}' was not provided`))
  for (const { name, fallback } of absent) {
    if (fallback !== undefined) scope.values.set(name, evaluate(fallback, scope, budget))
  }
}
