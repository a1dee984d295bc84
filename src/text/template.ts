/**
 * @file Chat templates of strangers, rendered within bounds. Jinja by @huggingface/jinja, which runs no code of the
 * template but has no limits: one line of template can ask it for a string of gigabytes or a loop of hours.
 */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja'
import { codeOf, InputError, messageOf, UserError } from '../base/errors.ts'
import { PATIENCE, withDeadline } from './deadline.ts'
import { formatDate } from './format-date.ts'

/** Renders the template with these variables. */
export type Template = (variables: Readonly<Record<string, unknown>>) => string

// What is used of the library's interpreter; its own declarations do not resolve under nodenext.
interface Statement {
  readonly type: string
  readonly operator?: { readonly value: string }
}
interface Value {
  value: unknown
}
interface Method extends Value {
  value: (values: readonly Value[], scope: unknown) => Value
}
type Evaluate = (statement: Statement | undefined, scope: unknown) => Value | undefined
interface BoundedInterpreter {
  evaluate: Evaluate
  run(program: unknown): Value
}

const MAX_SOURCE_CHARACTERS = 1 << 20
/** Of one value: the output, any string on the way to it, or a list with all that it holds. */
const MAX_VALUE_SIZE = 1 << 20
/** Of two operands whose sizes multiply, such as a text and what replaces each of its letters. */
const MAX_PRODUCT = 1 << 26
/** One for each node that is evaluated, and one for each `SIZE_PER_WORK` of its value. Bounds the memory. */
const MAX_WORK = 200_000
const SIZE_PER_WORK = 64
const MAX_RANGE = 10_000
const DEADLINE_MS = 100
const MAX_MESSAGE_CHARACTERS = 500

/**
 * Parses a template. `file` names it in errors and `now` is the date that it may print.
 * @throws UserError here for a template that cannot be parsed, and from the result for one that cannot be rendered:
 * because it raises an exception, or is larger than the bounds above.
 */
export function compileTemplate(source: string, file: string, now: Date): Template {
  if (source.length > MAX_SOURCE_CHARACTERS) {
    throw new InputError({ file }, 'a chat template of at most 1 MB', `${source.length} characters`)
  }
  const program = guard(file, () => parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })))
  return (variables) => guard(file, () => String(boundedInterpreter(newEnvironment(variables, now)).run(program).value))
}

function guard<T>(file: string, work: () => T): T {
  try {
    return withDeadline(DEADLINE_MS, work)
  } catch (error) {
    const late = codeOf(error) === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
    const reason = late
      ? `stopped after ${PATIENCE * DEADLINE_MS} ms`
      : messageOf(error).slice(0, MAX_MESSAGE_CHARACTERS)
    throw new UserError(`chat template of ${file}: ${reason}`, { cause: error })
  }
}

/** The names that transformers gives to chat templates (apply_chat_template), besides the variables. */
function newEnvironment(variables: Readonly<Record<string, unknown>>, now: Date): Environment {
  const environment = new Environment()
  const globals = {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    raise_exception: (message: unknown) => {
      throw new Error(String(message))
    },
    range: boundedRange,
    strftime_now: (format: unknown) => formatDate(now, String(format)),
  }
  for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value)
  return environment
}

/** Python's range. */
function boundedRange(first: unknown, second?: unknown, third?: unknown): number[] {
  const [start, stop] = second === undefined ? [0, Number(first)] : [Number(first), Number(second)]
  const step = third === undefined ? 1 : Number(third)
  const count = Math.max(0, Math.ceil((stop - start) / step))
  if (!(count <= MAX_RANGE)) throw new Error(`range() of more than ${MAX_RANGE} numbers`)
  return Array.from({ length: count }, (_, index) => start + index * step)
}

/** An interpreter that counts its work and looks at the size of every value as it arises. */
function boundedInterpreter(environment: Environment): BoundedInterpreter {
  const interpreter: BoundedInterpreter = new Interpreter(environment)
  const evaluate: Evaluate = interpreter.evaluate.bind(interpreter)
  const bounded = new WeakSet<Method>()
  let work = 0
  let operands: number[] | undefined // sizes of what the statement at hand has evaluated, where they multiply
  interpreter.evaluate = (statement, scope) => {
    const outer = operands
    operands = statement && multiplies(statement) ? [] : undefined
    const value = evaluate(statement, scope)
    const size = sizeOf(value)
    work += 1 + size / SIZE_PER_WORK
    if (work > MAX_WORK) throw new Error('too much work')
    if (statement?.type === 'MemberExpression' && isMethod(value) && !bounded.has(value)) {
      bounded.add(boundMethod(value, operands?.[0] ?? 0))
    }
    operands = outer
    outer?.push(typeof value?.value === 'number' ? Math.abs(value.value) : size)
    if (outer) checkProduct(outer)
    return value
  }
  return interpreter
}

/** Filters with arguments, `in`, and member access, whose result may be a method. */
function multiplies(statement: Statement): boolean {
  if (statement.type === 'FilterStatement') throw new Error('filter blocks are not supported')
  if (statement.type !== 'BinaryExpression') return /^(Filter|Member)Expression$/.test(statement.type)
  return statement.operator?.value === 'in' || statement.operator?.value === 'not in'
}

function checkProduct(sizes: readonly number[]): void {
  const [largest, second = 1] = [...sizes].sort((a, b) => b - a)
  if (largest * second > MAX_PRODUCT) throw new Error('operands too large')
}

function isMethod(value: Value | undefined): value is Method {
  return typeof value?.value === 'function'
}

/** Makes a method such as `text.replace` look at its arguments before it runs on an object of `objectSize`. */
function boundMethod(method: Method, objectSize: number): Method {
  const run = method.value
  method.value = (values, scope) => {
    checkProduct([objectSize, ...values.map(sizeOf)])
    return run(values, scope)
  }
  return method
}

/** Characters and parts of a value with all that it holds; deep parts count more, as they do when printed indented. */
function sizeOf(root: Value | undefined): number {
  let size = 0
  const add = (value: Value | undefined, depth: number): void => {
    const content = value?.value
    size += 1 + depth + (typeof content === 'string' ? content.length : 0)
    if (size > MAX_VALUE_SIZE) throw new Error(`more than ${MAX_VALUE_SIZE} characters`)
    if (Array.isArray(content)) for (const item of content) add(item, depth + 1)
    if (!(content instanceof Map)) return
    for (const [key, item] of content) {
      size += key.length
      add(item, depth + 1)
    }
  }
  add(root, 0)
  return size
}
