/** @file The version of this package. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const fields = z.looseObject({ version: z.string() })

/** From package.json, which stands two folders above this file in the sources and in what is built. */
export function packageVersion(): string {
  return fields.parse(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))).version
}
