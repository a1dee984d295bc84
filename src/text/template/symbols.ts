/**
 * @file Which names a part of a template has of its own. jinja2 decides that before it runs anything: a name that is
 * set anywhere in a loop is another one than that outside, and starts with its value. After jinja2's idtracking.py.
 */
import type { Block, Expression, Statement, Target } from './syntax.ts'

/** What a name of its own starts as: given from outside, nothing, that of the part around, or a variable. */
export type Start = 'parameter' | 'undefined' | 'outer' | 'variable'

export interface Symbols {
  readonly starts: Map<string, Start>
  readonly stores: Set<string>
  readonly outer: Symbols | undefined
  /** Of the parts inside, as far as they have been asked for. */
  readonly inner: Map<object, Symbols>
}

/** A part with names of its own: the whole, the body of a loop or of a macro, and others. */
export interface Part {
  /** Where in the template it is. */
  readonly key: object
  readonly parameters: readonly string[]
  readonly expressions?: readonly Expression[]
  readonly body: Block
}

/** The symbols of a part inside of another. */
export function symbolsOf(part: Part, outer?: Symbols): Symbols {
  const known = outer?.inner.get(part.key)
  if (known !== undefined) return known
  const symbols: Symbols = { starts: new Map(), stores: new Set(), outer, inner: new Map() }
  for (const name of part.parameters) {
    symbols.stores.add(name)
    symbols.starts.set(name, 'parameter')
  }
  load(symbols, part.expressions)
  visitBlock(symbols, part.body)
  outer?.inner.set(part.key, symbols)
  return symbols
}

/** The names that are assigned to. */
export function targetNames(target: Target): readonly string[] {
  if (target.type === 'tuple') return target.items.flatMap(targetNames)
  return target.type === 'name' ? [target.name] : []
}

function isKnown(symbols: Symbols | undefined, name: string): boolean {
  return symbols !== undefined && (symbols.starts.has(name) || isKnown(symbols.outer, name))
}

/** Every name that is read in there. */
function load(symbols: Symbols, node: unknown): void {
  if (typeof node !== 'object' || node === null) return
  if ('type' in node && node.type === 'name' && 'name' in node && typeof node.name === 'string') {
    if (!isKnown(symbols, node.name)) symbols.starts.set(node.name, 'variable')
  } else {
    for (const part of Object.values(node)) load(symbols, part)
  }
}

function store(symbols: Symbols, name: string): void {
  symbols.stores.add(name)
  if (!symbols.starts.has(name)) symbols.starts.set(name, isKnown(symbols.outer, name) ? 'outer' : 'undefined')
}

function storeTarget(symbols: Symbols, target: Target): void {
  if (target.type === 'member') load(symbols, { type: 'name', name: target.object })
  else if (target.type === 'tuple') for (const item of target.items) storeTarget(symbols, item)
  else store(symbols, target.name)
}

function visitBlock(symbols: Symbols, body: Block): void {
  for (const statement of body) visitStatement(symbols, statement)
}

/** Without what is inside of parts of their own. */
function visitStatement(symbols: Symbols, statement: Statement): void {
  if (statement.type === 'if') visitIf(symbols, statement.branches, statement.otherwise)
  else if (statement.type === 'macro') store(symbols, statement.signature.name)
  else load(symbols, readBy(statement))
  if (statement.type === 'set' || statement.type === 'set-block') storeTarget(symbols, statement.target)
}

/** What a statement reads where it stands. */
function readBy(statement: Statement): unknown {
  if (statement.type === 'for') return statement.iterable
  if (statement.type === 'output' || statement.type === 'set') return statement.value
  if (statement.type === 'call') return statement.call
  return statement.type === 'with' ? statement.bindings.map(([, value]) => value) : undefined
}

type Branches = Extract<Statement, { type: 'if' }>['branches']

/** A name that is set in some branches only keeps the value from before in the others. */
function visitIf(symbols: Symbols, [first, ...others]: Branches, otherwise: Block): void {
  load(symbols, first.condition)
  const visit = (work: (branch: Symbols) => void): Symbols => {
    const branch = { ...symbols, starts: new Map(symbols.starts), stores: new Set(symbols.stores) }
    work(branch)
    return branch
  }
  const branches = [
    visit((branch) => visitBlock(branch, first.body)),
    visit((branch) => {
      for (const each of others) visitIf(branch, [each], [])
    }),
    visit((branch) => visitBlock(branch, otherwise)),
  ]
  const stored = branches.flatMap(({ stores }) => [...stores].filter((name) => !symbols.stores.has(name)))
  for (const { starts, stores } of branches) {
    for (const [name, start] of starts) symbols.starts.set(name, start)
    for (const name of stores) symbols.stores.add(name)
  }
  for (const name of new Set(stored)) {
    if (stored.filter((each) => each === name).length === branches.length) continue
    symbols.starts.set(name, isKnown(symbols.outer, name) ? 'outer' : 'variable')
  }
}
