/** @file The folder of a run: who writes in it, what it goes on from, and what it is told. */
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { messageOf, UserError } from '../base/errors.ts'
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

const metricsLine = z.object({ value: z.looseObject({ kind: z.string(), update: z.number() }) })

export interface RunFolder {
  readonly path: string
  /** A file below `stepdpo`. */
  own(name: string): string
  release(): void
}

/** Takes the folder for this process and clears what a killed one left half-written. */
export function openRunFolder(path: string): RunFolder {
  try {
    mkdirSync(join(path, OWN), { recursive: true })
  } catch (error) {
    throw new UserError(`--output_dir ${path}: cannot make this folder: ${messageOf(error)}`, { cause: error })
  }
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
  // A run that failed before its first update has left nothing to protect.
  const holdsRun = listCheckpoints(folder.path).length > 0 || sizeOf(folder.own(METRICS)) > 0
  if (holdsRun && !settings.overwrite_output_dir) {
    throw new UserError(
      `${folder.path} holds a run already: say --resume_from_checkpoint to go on with it, ` +
        '--overwrite_output_dir to begin anew, or choose another --output_dir',
    )
  }
  if (holdsRun) clearRun(folder)
  return undefined
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
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

/**
 * Opens the log as it was after `update`; 0 begins anew. What a killed run wrote beyond its last checkpoint is taken
 * back. An evaluation that was stopped is not in its checkpoint: where its line was added by a run that resumed and was
 * killed in turn, it is not added again.
 */
export function openMetricsLog(folder: RunFolder, update: number): MetricsLog {
  const path = folder.own(METRICS)
  const lines = update > 0 && existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
  const known = new Set<string>()
  const kept = lines.filter((line) => {
    const place = placeOf(line)
    if (place === undefined || place.update > update) return false
    known.add(`${place.kind} ${place.update}`)
    return true
  })
  writeDurably(path, kept.map((line) => `${line}\n`).join(''))
  const log: LineLog = openLineLog(path)
  return {
    add: (kind, at, metrics) => {
      if (!known.has(`${kind} ${at}`)) log.append(JSON.stringify({ kind, update: at, ...metrics }))
    },
    sync: log.sync,
    close: log.close,
  }
}

function placeOf(line: string): { readonly kind: string; readonly update: number } | undefined {
  const parsed = metricsLine.safeParse(parseJson(Buffer.from(line)))
  return parsed.success ? parsed.data.value : undefined
}
