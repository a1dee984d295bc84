/** @file Where things are kept that any run may use again. */
import { homedir } from 'node:os'
import { join } from 'node:path'

/** STEPDPO_CACHE, or else stepdpo in the user's cache folder. */
export function cacheFolder(environment: Readonly<Record<string, string | undefined>>): string {
  if (environment.STEPDPO_CACHE) return environment.STEPDPO_CACHE
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'stepdpo')
}
