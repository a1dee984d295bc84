/** @file Files of a model folder that somebody else filled: no name in it leads out of it. */
import { realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { messageOf, UserError } from '../base/errors.ts'

/**
 * The real path of a file that lies directly in `folder`. It may be a link only as the Hugging Face cache makes them,
 * from `snapshots/REVISION` to a file in the `blobs` beside `snapshots`.
 * @throws UserError for a name with a folder in it, a missing file, and a link that leads elsewhere.
 */
export function resolveInFolder(folder: string, name: string): string {
  if (!/^[^/\\:\0]+$/.test(name) || name === '.' || name === '..') {
    throw new UserError(`${folder}: expected the plain name of a file in this folder, found ${JSON.stringify(name)}`)
  }
  const realFolder = realPath(folder)
  const path = realPath(join(realFolder, name))
  const parent = dirname(path)
  if (parent !== realFolder && parent !== blobFolder(realFolder)) {
    throw new UserError(`${join(folder, name)} is a link to ${path}, out of its folder: put the file itself there`)
  }
  return path
}

/** Where a snapshot of the Hugging Face cache keeps its files. */
function blobFolder(folder: string): string | undefined {
  const snapshots = dirname(folder)
  return basename(snapshots) === 'snapshots' ? join(dirname(snapshots), 'blobs') : undefined
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    throw new UserError(`cannot find ${path}: ${messageOf(error)}`, { cause: error })
  }
}
