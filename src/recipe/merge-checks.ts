/** @file What must hold before an adapter is merged: the folder, the tensors, the disk. */
import { existsSync, readdirSync, realpathSync, statfsSync } from 'node:fs'
import { sep } from 'node:path'
import { InputError, UserError } from '../base/errors.ts'
import { showShape } from '../engine/dims.ts'
import type { ModelConfig } from '../model/config.ts'
import type { TensorSource } from '../model/tensor-source.ts'
import { checkTie, HEAD } from '../model/weights.ts'
import type { MergeSettings } from './adapter-settings.ts'

/** @throws UserError for a folder that holds something, unless it is a merged model that may be replaced. */
export function checkOutput({
  output_dir: output,
  base_model,
  adapter,
  overwrite_output_dir: overwrite,
}: MergeSettings): void {
  if (!existsSync(output)) return
  const names = readdirSync(output, { withFileTypes: true })
  if (names.length === 0) return
  if (!overwrite) {
    throw new UserError(
      `--output_dir ${output} is not empty: say --overwrite_output_dir to replace it, or choose another`,
    )
  }
  const place = realpathSync(output) + sep
  for (const needed of [base_model, adapter]) {
    if (existsSync(needed) && (realpathSync(needed) + sep).startsWith(place)) {
      throw new UserError(`--output_dir ${output} holds ${needed}, which is needed: choose another`)
    }
  }
  const isModel = names.every((entry) => entry.isFile()) && names.some(({ name }) => name === 'config.json')
  if (!isModel)
    throw new UserError(`--output_dir ${output} holds more than a model, and is not replaced: choose another`)
}

/** @throws InputError for tensors that are missing, misshapen or strange; UserError for what config.json cannot say. */
export function checkTensors(
  source: TensorSource,
  config: ModelConfig,
  shapes: ReadonlyMap<string, readonly number[]>,
): void {
  for (const [name, shape] of shapes) {
    const found = source.names.has(name) ? showShape(source.shape(name)) : 'none'
    if (found !== showShape(shape)) {
      throw new InputError({ file: source.path }, `a tensor '${name}' ${showShape(shape)}`, found)
    }
  }
  checkTie(source, config)
  const frequencies = 'rope_freqs.weight'
  if (
    source.names.has(frequencies) &&
    config.kinds.every(({ rope }) => rope === null || rope.scaling.kind === 'none')
  ) {
    throw new UserError(
      `${source.path}: its ${frequencies} cannot be written into a config.json: put the config.json of the base model ` +
        'beside the file, and name the folder as --base_model',
    )
  }
  const isIdle = (name: string): boolean =>
    name === frequencies || name.endsWith('.rotary_emb.inv_freq') || (name === HEAD && config.tiedHead)
  const strange = [...source.names].find((name) => !shapes.has(name) && !isIdle(name))
  if (strange !== undefined) {
    throw new InputError({ file: source.path }, `tensors of a ${config.family} model only`, `'${strange}'`)
  }
}

/** @throws UserError where so many bytes have no room. */
export function checkDisk(folder: string, needed: number): void {
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (free >= needed) return
  const size = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`
  throw new UserError(`${folder}: the merged weights need ${size(needed)}, and ${size(free)} are free`)
}
