/**
 * @file Checkpoints: a folder that appears whole or not at all, with a manifest of the hash of each file. What is
 * loaded was verified first.
 */
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { messageOf, UserError } from '../base/errors.ts'
import {
  type Bytes,
  type FileSystem,
  placeFolderDurably,
  removeFolderDurably,
  writeDurably,
  writeFolderDurably,
  writeNew,
} from '../base/files.ts'
import { sha256File } from '../base/hash.ts'
import { parseJson } from '../base/lines.ts'
import { ADAPTER_WEIGHTS } from '../model/adapter-file.ts'
import { OPTIMIZER, TRAINER_STATE } from './state.ts'

export const MANIFEST = 'manifest.json'
const VERSION = 1

/** What no run can be resumed without: one file of each row. */
const NEEDED = [[ADAPTER_WEIGHTS, 'model.safetensors'], [OPTIMIZER, 'optimizer.pt', 'optimizer.bin'], [TRAINER_STATE]]

/** The name of a file in the folder itself. */
const fileName = z.string().regex(/^\w[\w.-]*$/)

const manifestFields = z.strictObject({
  version: z.literal(VERSION),
  update: z.number().int().nonnegative(),
  files: z.record(fileName, z.strictObject({ bytes: z.number().int().nonnegative(), sha256: z.string() })),
})

/** A folder with the state after an update. */
export interface CheckpointFolder {
  readonly path: string
  readonly update: number
}

export function checkpointPath(output: string, update: number): string {
  return join(output, `checkpoint-${update}`)
}

/** The checkpoints of a run, the newest first. They may be damaged. */
export function listCheckpoints(output: string): CheckpointFolder[] {
  if (!existsSync(output)) return []
  return readdirSync(output)
    .flatMap((name) => {
      const update = /^checkpoint-(\d{1,15})$/.exec(name)?.[1]
      return update === undefined ? [] : [{ path: join(output, name), update: Number(update) }]
    })
    .sort((a, b) => b.update - a.update)
}

/** Writes a checkpoint. On an error nothing of it is left, and those before stand. */
export function writeCheckpoint(
  output: string,
  update: number,
  files: ReadonlyMap<string, Bytes | Iterable<Bytes>>,
  fs?: FileSystem,
): CheckpointFolder {
  const path = checkpointPath(output, update)
  writeFolderDurably(
    path,
    (folder) => {
      const written: [string, { bytes: number; sha256: string }][] = []
      for (const [name, content] of files) {
        const file = join(folder, name)
        const isWhole = typeof content === 'string' || content instanceof Uint8Array
        writeNew(file, isWhole ? [content] : content, fs)
        written.push([name, { bytes: statSync(file).size, sha256: sha256File(file) }])
      }
      writeNew(join(folder, MANIFEST), [manifestOf(update, written)], fs)
    },
    fs,
  )
  return { path, update }
}

function manifestOf(update: number, files: readonly (readonly [string, object])[]): string {
  return `${JSON.stringify({ version: VERSION, update, files: Object.fromEntries(files) }, null, 2)}\n`
}

/**
 * Makes a checkpoint of what another program has written as `checkpoint-UPDATE` into a folder of its own: adds a file of
 * ours, makes all of it durable, describes it, and moves it among the run's. It appears whole or not at all.
 * @throws UserError where the folder holds what is no file: it could not be verified.
 */
export function takeCheckpoint(
  written: string,
  output: string,
  update: number,
  own: readonly [string, Bytes],
): CheckpointFolder {
  const [folder, path] = [checkpointPath(written, update), checkpointPath(output, update)]
  const [name, content] = own
  writeDurably(join(folder, name), content)
  const files = readdirSync(folder, { withFileTypes: true }).map((entry): [string, object] => {
    const file = join(folder, entry.name)
    if (!entry.isFile()) throw new UserError(`${file} is not a file, and checkpoints are made of files`)
    syncFile(file)
    return [entry.name, { bytes: statSync(file).size, sha256: sha256File(file) }]
  })
  writeDurably(join(folder, MANIFEST), manifestOf(update, files))
  placeFolderDurably(folder, path)
  return { path, update }
}

function syncFile(path: string): void {
  const fd = openSync(path, 'r+')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Why a checkpoint cannot be used, or undefined where every file is what its manifest says. */
export function damageOf({ path, update }: CheckpointFolder): string | undefined {
  try {
    const parsed = parseJson(readFileSync(join(path, MANIFEST)))
    if ('problem' in parsed) return `${MANIFEST} is ${parsed.problem}`
    const manifest = manifestFields.safeParse(parsed.value)
    if (!manifest.success) return `${MANIFEST} is not one of a version that is understood`
    if (manifest.data.update !== update) return `it holds the state after update ${manifest.data.update}`
    const { files } = manifest.data
    const lacking = NEEDED.find((names) => !names.some((name) => Object.hasOwn(files, name)))
    if (lacking !== undefined) return `${MANIFEST} lists no ${lacking.join(' or ')}`
    for (const [name, { bytes, sha256 }] of Object.entries(files)) {
      const file = join(path, name)
      if (!existsSync(file)) return `${name} is missing`
      const { size } = statSync(file)
      if (size !== bytes) return `${name} has ${size} bytes instead of ${bytes}`
      if (sha256File(file) !== sha256) return `${name} has changed since it was written`
    }
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/**
 * The newest checkpoint that is whole.
 * @param report is told of each newer one that is not.
 * @throws UserError where there are checkpoints, but none is whole. Nothing is deleted.
 */
export function newestWhole(
  output: string,
  report: (checkpoint: CheckpointFolder, reason: string) => void,
): CheckpointFolder | undefined {
  const all = listCheckpoints(output)
  for (const checkpoint of all) {
    const damage = damageOf(checkpoint)
    if (damage === undefined) return checkpoint
    report(checkpoint, damage)
  }
  if (all.length === 0) return undefined
  throw new UserError(`${output}: none of its ${all.length} checkpoints is whole; nothing was deleted`)
}

/**
 * Removes checkpoints after a newer one was written: the oldest, so that `limit` are left, and those of later updates,
 * which a run that went back to an older state has left behind.
 * @param kept the update of one that stays in any case.
 */
export function pruneCheckpoints(
  output: string,
  written: CheckpointFolder,
  { limit, kept }: { readonly limit: number; readonly kept: number | undefined },
  fs?: FileSystem,
): void {
  const isLater = ({ update }: CheckpointFolder): boolean => update > written.update
  const all = listCheckpoints(output)
  const old = all.filter((checkpoint) => !isLater(checkpoint)).slice(limit)
  for (const { path, update } of [...all.filter(isLater), ...old]) if (update !== kept) removeFolderDurably(path, fs)
}
