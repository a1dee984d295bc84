/** @file The folder of a run: who writes in it, what it goes on from, and what it is told. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { UserError } from '../base/errors.ts'
import { type LineLog, openLineLog, removeFolderDurably, removeTemporaries, writeDurably } from '../base/files.ts'
import { parseJson } from '../base/lines.ts'
import { type Lock, lockFolder } from '../base/lock.ts'
import type { Metrics } from '../data/events.ts'
import { type CheckpointFolder, damageOf, listCheckpoints, newestWhole } from '../train/checkpoint.ts'

/** Our own files, beside those that other tools read. */
const OWN = 'stepdpo'
const METRICS = 'metrics.jsonl'
/** TensorBoard's event files. */
export const RUNS = 'runs'

const updateLine = z.object({ value: z.looseObject({ update: z.number() }) })

export interface RunFolder {
  readonly path: string
  /** A file below `stepdpo`. */
  own(name: string): string
  release(): void
}

/** Takes the folder for this process and clears what a killed one left half-written. */
export function openRunFolder(path: string): RunFolder {
  mkdirSync(join(path, OWN), { recursive: true })
  const lock: Lock = lockFolder(path)
  removeTemporaries(path)
  removeTemporaries(join(path, OWN))
  return { path, own: (name) => join(path, OWN, name), release: lock.release }
}

interface ResumeSettings {
  readonly resume_from_checkpoint: boolean | string
  readonly overwrite_output_dir: boolean
}

/**
 * The checkpoint to go on from, or undefined to begin.
 * @throws UserError where the folder holds a run and nothing was said of it, or a named checkpoint is not whole.
 */
export function findCheckpoint(
  folder: RunFolder,
  settings: ResumeSettings,
  report: (checkpoint: CheckpointFolder, reason: string) => void,
): CheckpointFolder | undefined {
  const wanted = settings.resume_from_checkpoint
  if (typeof wanted === 'string') return namedCheckpoint(wanted)
  if (wanted) return newestWhole(folder.path, report)
  const holdsRun = listCheckpoints(folder.path).length > 0 || existsSync(folder.own(METRICS))
  if (holdsRun && !settings.overwrite_output_dir) {
    throw new UserError(
      `${folder.path} holds a run already: say --resume_from_checkpoint to go on with it, ` +
        '--overwrite_output_dir to begin anew, or choose another --output_dir',
    )
  }
  if (holdsRun) clearRun(folder)
  return undefined
}

function namedCheckpoint(path: string): CheckpointFolder {
  const update = /checkpoint-(\d+)\/*$/.exec(path)?.[1]
  if (update === undefined || !existsSync(path)) {
    throw new UserError(`--resume_from_checkpoint: expected a folder checkpoint-N, found ${path}`)
  }
  const checkpoint = { path, update: Number(update) }
  const damage = damageOf(checkpoint)
  if (damage !== undefined) throw new UserError(`${path} cannot be resumed from: ${damage}`)
  return checkpoint
}

/** Removes what a run keeps for itself. Its adapter is replaced when the new run ends. */
function clearRun(folder: RunFolder): void {
  for (const { path } of listCheckpoints(folder.path)) removeFolderDurably(path)
  removeFolderDurably(join(folder.path, RUNS))
  removeFolderDurably(join(folder.path, OWN))
  mkdirSync(join(folder.path, OWN))
}

/** The metrics of a run, a line for each update and each evaluation, each exactly once. */
export interface MetricsLog {
  add(kind: 'train' | 'eval', update: number, metrics: Metrics): void
  /** Makes it durable: before a checkpoint that it belongs to. */
  sync(): void
  close(): void
}

/** Opens the log as it was after `update`: what a killed run wrote beyond its last checkpoint is taken back. */
export function openMetricsLog(folder: RunFolder, update: number): MetricsLog {
  const path = folder.own(METRICS)
  if (existsSync(path)) {
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    const kept = lines.filter((line) => lineUpdate(line) <= update)
    writeDurably(path, kept.map((line) => `${line}\n`).join(''))
  }
  const log: LineLog = openLineLog(path)
  return {
    add: (kind, at, metrics) => log.append(JSON.stringify({ kind, update: at, ...metrics })),
    sync: log.sync,
    close: log.close,
  }
}

function lineUpdate(line: string): number {
  const parsed = updateLine.safeParse(parseJson(Buffer.from(line)))
  return parsed.success ? parsed.data.value.update : Number.POSITIVE_INFINITY
}
