/** @file The errors a person can act on. Everything else that is thrown is a bug of ours. */

/** Something the user can mend. The message says who, what was expected and what was found. */
export class UserError extends Error {
  override name = 'UserError'
}

/** A command line or configuration that cannot be understood (exit code 2). */
export class UsageError extends UserError {
  override name = 'UsageError'
}

/** Where bad input stands. `line` counts from 1, `offset` is in bytes from the start of the file. */
export interface InputPlace {
  readonly file: string
  readonly line?: number
  readonly offset?: number
}

/** Bad content of a file: names the file, the place in it, what was expected and what was found. */
export class InputError extends UserError {
  override name = 'InputError'
  readonly place: InputPlace
  readonly expected: string
  readonly found: string

  constructor(place: InputPlace, expected: string, found: string, options?: ErrorOptions) {
    super(`${showPlace(place)}: expected ${expected}, found ${found}`, options)
    this.place = place
    this.expected = expected
    this.found = found
  }
}

/** `file:line`, or `file (byte offset)`. */
export function showPlace(place: InputPlace): string {
  if (place.line !== undefined) return `${place.file}:${place.line}`
  if (place.offset !== undefined) return `${place.file} (byte ${place.offset})`
  return place.file
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The `code` of a system error such as ENOENT, or undefined. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
