/** @file The weights of a model, whatever files hold them. */
import { readdirSync, statSync } from 'node:fs'
import { InputError, messageOf, UserError } from '../base/errors.ts'
import { parseJson } from '../base/lines.ts'
import type { Form } from '../engine/stored.ts'
import { openByteFile } from './byte-file.ts'
import { CONVERT_PICKLE } from './foreign.ts'
import { openGguf } from './gguf.ts'
import { keepNamed, namedForm, namedTensors, readNamed } from './gguf-names.ts'
import { resolveInFolder } from './model-folder.ts'
import { openSafetensors, type SafetensorsFile } from './safetensors.ts'
import type { KeptTensor } from './weights.ts'

/** Named tensors under their names in transformers, in float32, shape outermost first. */
export interface TensorSource {
  /** The file that holds the tensors, or the index of the files. */
  readonly path: string
  readonly names: ReadonlySet<string>
  /** @throws InputError where there is no such tensor. */
  shape(name: string): readonly number[]
  /** @throws InputError where there is no such tensor, or it cannot be read as float32. */
  read(name: string): Float32Array<ArrayBuffer>
  /** The form in which the file holds a tensor, as `readKept` gives it; null for float32. Only the header is read. */
  form(name: string): Form | null
  /** The tensor as the file holds it, where that is 16-bit floating point or a matrix in blocks; else in float32. */
  readKept(name: string): KeptTensor
  close(): void
}

const WEIGHTS = 'model.safetensors'
const INDEX = 'model.safetensors.index.json'
/** An index has a line for each tensor; the largest models have some ten thousand. */
const MAX_INDEX_BYTES = 64 << 20

/**
 * Opens the weights in a folder: model.safetensors, or else the shards of model.safetensors.index.json, or else its
 * only .gguf file; or those of one .gguf file.
 * @throws UserError where there are none, InputError where they break their format.
 */
export function openWeights(path: string): TensorSource {
  if (!isFolder(path)) return openGgufWeights(path)
  const names = readdirSync(path)
  if (names.includes(WEIGHTS)) return openSingle(resolveInFolder(path, WEIGHTS))
  if (names.includes(INDEX)) return openSharded(path)
  const ggufNames = names.filter((name) => name.toLowerCase().endsWith('.gguf')).sort()
  if (ggufNames.length === 1) return openGgufWeights(resolveInFolder(path, ggufNames[0]))
  throw new UserError(`${path}: expected ${WEIGHTS}, ${INDEX} or one .gguf file, found ${describe(names, ggufNames)}`)
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch (error) {
    throw new UserError(`cannot read weights from ${path}: ${messageOf(error)}`, { cause: error })
  }
}

function describe(names: readonly string[], ggufNames: readonly string[]): string {
  if (ggufNames.length > 1) return `${ggufNames.join(', ')}: name one of them instead of the folder`
  const pickle = names.find((name) => /\.(bin|pt|pth|ckpt|pkl)$/.test(name))
  return pickle === undefined ? 'none of them' : `${pickle}, which holds pickles: ${CONVERT_PICKLE}`
}

function openGgufWeights(path: string): TensorSource {
  const file = openGguf(path)
  try {
    const tensors = namedTensors(file)
    const get = (name: string) => entryOf(path, tensors, name)
    return {
      path,
      names: new Set(tensors.keys()),
      shape: (name) => get(name).tensor.shape,
      read: (name) => readNamed(file, get(name)),
      form: (name) => namedForm(get(name)),
      readKept: (name) => keepNamed(file, get(name)),
      close: file.close,
    }
  } catch (error) {
    file.close()
    throw error
  }
}

function openSingle(path: string): TensorSource {
  const file = openSafetensors(path)
  const holders = new Map([...file.tensors].map(([name, { shape }]) => [name, { file, shape }]))
  return safetensorsSource(path, holders, [file])
}

interface Holder {
  readonly file: SafetensorsFile
  readonly shape: readonly number[]
}

function safetensorsSource(
  path: string,
  holders: ReadonlyMap<string, Holder>,
  files: readonly SafetensorsFile[],
): TensorSource {
  return {
    path,
    names: new Set(holders.keys()),
    shape: (name) => entryOf(path, holders, name).shape,
    read: (name) => entryOf(path, holders, name).file.readFloat32(name),
    form: (name) => entryOf(path, holders, name).file.form(name),
    readKept: (name) => entryOf(path, holders, name).file.readKept(name),
    close: () => closeAll(files),
  }
}

function closeAll(files: Iterable<SafetensorsFile>): void {
  for (const file of files) file.close()
}

function entryOf<Entry>(path: string, entries: ReadonlyMap<string, Entry>, name: string): Entry {
  const entry = entries.get(name)
  if (entry === undefined) throw new InputError({ file: path }, `a tensor '${name}'`, 'none')
  return entry
}

function openSharded(folder: string): TensorSource {
  const path = resolveInFolder(folder, INDEX)
  const shards = new Map<string, SafetensorsFile>()
  try {
    const holders = new Map<string, Holder>()
    for (const [name, shardName] of readIndex(path)) {
      const file = shards.get(shardName) ?? openSafetensors(resolveInFolder(folder, shardName))
      shards.set(shardName, file)
      const entry = file.tensors.get(name)
      if (entry === undefined) throw new InputError({ file: file.path }, `the tensor '${name}' of ${INDEX}`, 'none')
      holders.set(name, { file, shape: entry.shape })
    }
    return safetensorsSource(path, holders, [...shards.values()])
  } catch (error) {
    closeAll(shards.values())
    throw error
  }
}

/** The `weight_map` of an index: names of tensors with the names of their shards. */
function readIndex(path: string): readonly (readonly [string, string])[] {
  const file = openByteFile(path)
  try {
    if (file.size > MAX_INDEX_BYTES)
      throw new InputError({ file: path }, `at most ${MAX_INDEX_BYTES} bytes`, `${file.size}`)
    const json = parseJson(new Uint8Array(file.read(0, file.size)))
    if ('problem' in json) throw new InputError({ file: path }, 'JSON', json.problem)
    return [...stringEntries(path, json.value)]
  } finally {
    file.close()
  }
}

function* stringEntries(path: string, index: unknown): Generator<readonly [string, string]> {
  const map = typeof index === 'object' && index !== null && 'weight_map' in index ? index.weight_map : undefined
  if (typeof map !== 'object' || map === null) throw new InputError({ file: path }, "an object 'weight_map'", 'none')
  for (const [name, shardName] of Object.entries(map)) {
    if (typeof shardName !== 'string')
      throw new InputError({ file: path }, `the name of a file for '${name}'`, typeof shardName)
    yield [name, shardName]
  }
}
