/** @file The YAML file that --config names. */
import { readFileSync } from 'node:fs'
import { messageOf, UsageError } from '../base/errors.ts'
import type { YamlFile } from '../recipe/settings-yaml.ts'

/** @throws UsageError where it cannot be read. */
export function readConfig(path: string | undefined): YamlFile | undefined {
  if (path === undefined) return undefined
  try {
    return { path, text: readFileSync(path, 'utf8') }
  } catch (error) {
    throw new UsageError(`--config: cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
}
