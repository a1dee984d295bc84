/** @file What we add to a checkpoint of transformers' Trainer, so that its run is resumed only where it is the same run. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { InputError, UserError } from '../base/errors.ts'
import { parseJson } from '../base/lines.ts'
import type { LogEntry } from './log.ts'
import { type Identity, refuseChanges } from './state.ts'

export const TORCH_STATE = 'stepdpo.json'

const fields = z.strictObject({
  begin: z.unknown(),
  identity: z.record(z.string(), z.unknown()),
  tokens: z.number(),
  log: z.array(z.record(z.string(), z.number())),
})

export interface TorchState {
  readonly begin: unknown
  readonly identity: Identity
  readonly tokens: number
  readonly log: readonly LogEntry[]
}

export function writeTorchState(state: TorchState): string {
  return `${JSON.stringify(state, null, 2)}\n`
}

export function isOfTorch(folder: string): boolean {
  return existsSync(join(folder, TORCH_STATE))
}

/** @throws UserError for a checkpoint of our own engine, and for one that was changed. */
export function readTorchState(folder: string): TorchState {
  const path = join(folder, TORCH_STATE)
  if (!isOfTorch(folder)) throw new UserError(`${folder} is not of --engine torch: resume it with --engine node`)
  const parsed = parseJson(readFileSync(path))
  const state = fields.safeParse('value' in parsed ? parsed.value : undefined)
  if (!state.success) throw new InputError({ file: path }, 'the state of a run of stepdpo', 'something else')
  return state.data
}

/** @throws UserError naming the first thing in which the run differs from the one that was interrupted. */
export function resumeTorchState(folder: string, identity: Identity | undefined): TorchState {
  const state = readTorchState(folder)
  if (identity !== undefined) refuseChanges(folder, state.identity, identity)
  return state
}
