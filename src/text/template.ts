/**
 * @file Chat templates of strangers, rendered within bounds. They are written in Jinja, and the text must be the one
 * that jinja2 gives in Python, as transformers sets it up: any difference would train on other tokens. What this does
 * not support is an error, never another text.
 */
import { codeOf, InputError, messageOf, UserError } from '../base/errors.ts'
import { PATIENCE, withDeadline } from './deadline.ts'
import { createGlobals } from './template/globals.ts'
import { lex } from './template/lexer.ts'
import { renderBlock } from './template/run.ts'
import { openRoot } from './template/scope.ts'
import { parseTokens } from './template/statements.ts'
import { fromJson } from './template/values.ts'

/** Renders the template with these variables. */
export type Template = (variables: Readonly<Record<string, unknown>>) => string

/** Ten times the largest template known. */
const MAX_SOURCE_CHARACTERS = 1 << 19
const DEADLINE_MS = 100
const MAX_MESSAGE_CHARACTERS = 500

/**
 * Parses a template. `file` names it in errors and `now` is the date that it may print.
 * @throws UserError here for a template that cannot be parsed, and from the result for one that cannot be rendered:
 * because it raises an exception, needs what is not supported, or is larger than the bounds of template/bounds.ts.
 */
export function compileTemplate(source: string, file: string, now: Date): Template {
  if (source.length > MAX_SOURCE_CHARACTERS) {
    throw new InputError({ file }, 'a chat template of at most 512 KB', `${source.length} characters`)
  }
  const body = guard(file, () => parseTokens(lex(source)))
  const globals = createGlobals(now)
  return (variables) =>
    guard(file, () => {
      const given = Object.entries(variables).filter(([, value]) => value !== undefined)
      const context = new Map([...globals, ...given.map(([name, value]) => [name, fromJson(value)] as const)])
      return renderBlock(body, openRoot(body, context), { work: 0, callDepth: 0 })
    })
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
