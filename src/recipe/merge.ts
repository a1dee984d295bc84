/** @file An adapter merged into its base model, as a Hugging Face folder: the `merge` command. One tensor is in memory. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import { type Bytes, writeFolderDurably, writeNew } from '../base/files.ts'
import { elementCount } from '../engine/dims.ts'
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '../engine/half.ts'
import { companionFiles } from '../interop/companions.ts'
import { titleOf } from '../interop/hub-name.ts'
import { mergedCard } from '../interop/merged-card.ts'
import { modelfileText, recogniseChat, stopTexts } from '../interop/modelfile.ts'
import { INDEX_FILE, parseSize, planShards, type Shard, shardIndex } from '../interop/shards.ts'
import { PRM_FILE } from '../judge/verdicts.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import type { ModelConfig } from '../model/config.ts'
import { families } from '../model/families.ts'
import { loadConfig } from '../model/load.ts'
import { type Adapter, FACTOR_A, FACTOR_B, loraScale } from '../model/lora.ts'
import { type Factors, mergedWeight } from '../model/merge.ts'
import { type PendingTensor, pendingParts } from '../model/safetensors-write.ts'
import { openWeights, type TensorSource } from '../model/tensor-source.ts'
import { layerName, tensorShapes } from '../model/weights.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import type { MergeDtype, MergeSettings } from './adapter-settings.ts'
import { checkDisk, checkOutput, checkTensors } from './merge-checks.ts'
import { packageVersion } from './version.ts'

export interface MergeReport {
  readonly folder: string
  readonly dtype: MergeDtype
  readonly files: readonly string[]
  /** Of the weights. */
  readonly bytes: number
  readonly tensors: number
  readonly merged: number
  /** Of what the adapter changes (root of the sum of squares), the part that rounding to the dtype changes too. */
  readonly rounding: number
  /** Why the Modelfile has no template; undefined where it has, or none was asked for. */
  readonly note?: string
}

/** How numbers of each dtype are written, and read back. */
const encodings: Readonly<
  Record<
    MergeDtype,
    {
      readonly dtype: PendingTensor['dtype']
      readonly bytes: number
      readonly encode: (values: Float32Array) => Float32Array | Uint16Array<ArrayBuffer>
      readonly decode?: (bits: Uint16Array) => Float32Array
    }
  >
> = {
  float32: { dtype: 'F32', bytes: 4, encode: (values) => values },
  bfloat16: { dtype: 'BF16', bytes: 2, encode: toBfloat16, decode: fromBfloat16 },
  float16: { dtype: 'F16', bytes: 2, encode: toFloat16, decode: fromFloat16 },
}

/** What is merged, and how it is written. */
interface Work {
  readonly settings: MergeSettings
  readonly config: ModelConfig
  readonly json: object
  readonly dtype: MergeDtype
  readonly adapter: Adapter
  readonly source: TensorSource
  readonly shapes: ReadonlyMap<string, readonly number[]>
  /** By the names of their weights. */
  readonly factors: ReadonlyMap<string, Factors>
  /** Sums of squares over all merged weights. */
  readonly changes: { adapter: number; rounding: number }
}

/**
 * Merges an adapter. `onTensor` hears how many tensors are written, out of how many.
 * @throws UserError or InputError where model, adapter or folder cannot be used; then nothing is left.
 */
export function merge(
  settings: MergeSettings,
  onTensor: (done: number, total: number) => void = () => {},
): MergeReport {
  checkOutput(settings)
  const { config, json } = loadConfig(settings.base_model)
  const adapter = loadAdapter(settings.adapter, config)
  const source = openWeights(settings.base_model)
  try {
    const shapes = tensorShapes(families[config.family], config)
    checkTensors(source, config, shapes)
    const work: Work = {
      settings,
      config,
      json: Object(json),
      adapter,
      source,
      shapes,
      dtype: settings.dtype === 'auto' ? baseDtype(json) : settings.dtype,
      factors: factorsOf(adapter),
      changes: { adapter: 0, rounding: 0 },
    }
    return writeMerged(work, onTensor)
  } finally {
    source.close()
  }
}

function baseDtype(json: unknown): MergeDtype {
  const { dtype, torch_dtype: older }: { dtype?: unknown; torch_dtype?: unknown } = Object(json)
  const name = dtype ?? older
  return name === 'bfloat16' || name === 'float16' ? name : 'float32'
}

function factorsOf({ settings, layers }: Adapter): Map<string, Factors> {
  const factors = new Map<string, Factors>()
  const scale = loraScale(settings)
  layers.forEach((tensors, layer) => {
    for (const [name, a] of Object.entries(tensors)) {
      if (!name.endsWith(FACTOR_A)) continue
      const module = name.slice(0, -FACTOR_A.length)
      factors.set(layerName(layer, `${module}.weight`), { a, b: tensors[module + FACTOR_B], scale })
    }
  })
  return factors
}

/** The bytes of a tensor as it is written. Counts what is changed, and lost. */
function makeBytes({ source, factors, changes, dtype }: Work, name: string): Uint8Array {
  const { encode, decode } = encodings[dtype]
  const base = source.read(name)
  const own = factors.get(name)
  const values = own === undefined ? base : mergedWeight(base, own)
  const written = encode(values)
  const stored = written instanceof Uint16Array && decode !== undefined ? decode(written) : values
  for (let at = 0; at < values.length; at++) {
    if (!Number.isFinite(stored[at])) {
      throw new UserError(
        Number.isFinite(values[at])
          ? `'${name}' holds ${values[at]}, which ${dtype} cannot: choose another --dtype`
          : `'${name}' holds ${values[at]} after merging: base model or adapter is damaged`,
      )
    }
    if (own === undefined) continue
    changes.adapter += (values[at] - base[at]) ** 2
    changes.rounding += (stored[at] - values[at]) ** 2
  }
  return new Uint8Array(written.buffer, written.byteOffset, written.byteLength)
}

function writeMerged(work: Work, onTensor: (done: number, total: number) => void): MergeReport {
  const { settings, shapes, dtype, factors } = work
  const output = resolve(settings.output_dir)
  const sized = [...shapes].map(([name, shape]) => {
    const count = elementCount(shape)
    return { name, count, byteLength: count * encodings[dtype].bytes }
  })
  const bytes = sized.reduce((sum, { byteLength }) => sum + byteLength, 0)
  mkdirSync(dirname(output), { recursive: true })
  checkDisk(dirname(output), bytes)
  const shards = planShards(sized, parseSize(settings.max_shard_size) ?? bytes)
  const { files, note } = otherFiles(work)
  if (shards.length > 1) files.set(INDEX_FILE, shardIndex(sized, shards))
  writeFolderDurably(output, (folder) => {
    writeShards(folder, shards, work, onTensor)
    // Last, as it tells what rounding did.
    files.set('README.md', cardOf(work))
    for (const [name, content] of files) writeNew(join(folder, name), [content])
  })
  return {
    folder: settings.output_dir,
    dtype,
    files: [...shards.map(({ file }) => file), ...files.keys()],
    bytes,
    tensors: shapes.size,
    merged: factors.size,
    rounding: roundingOf(work),
    ...(note !== undefined && { note }),
  }
}

function roundingOf({ changes }: Work): number {
  return changes.adapter === 0 ? 0 : Math.sqrt(changes.rounding / changes.adapter)
}

function writeShards(
  folder: string,
  shards: readonly Shard[],
  work: Work,
  onTensor: (done: number, total: number) => void,
): void {
  const { shapes, dtype } = work
  const { bytes, dtype: stored } = encodings[dtype]
  let done = 0
  const pending = (name: string): PendingTensor => {
    const shape = shapes.get(name) ?? []
    const make = () => {
      const made = makeBytes(work, name)
      onTensor(++done, shapes.size)
      return made
    }
    return { dtype: stored, shape, byteLength: elementCount(shape) * bytes, bytes: make }
  }
  for (const { file, names } of shards) {
    const tensors = new Map(names.map((name) => [name, pending(name)]))
    writeNew(join(folder, file), pendingParts(tensors, new Map([['format', 'pt']])))
  }
}

/** Names of classes in transformers, for configurations that come from GGUF files. */
const ARCHITECTURES: Readonly<Record<ModelConfig['family'], string>> = {
  llama: 'LlamaForCausalLM',
  mistral: 'MistralForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
  phi: 'PhiForCausalLM',
  phi3: 'Phi3ForCausalLM',
  smollm3: 'SmolLM3ForCausalLM',
  gemma3_text: 'Gemma3ForCausalLM',
}

/** Everything but weights and card. */
function otherFiles({ settings, config, json, dtype }: Work): { files: Map<string, Bytes>; note: string | undefined } {
  const files = new Map<string, Bytes>(companionFiles(settings.base_model))
  const named = { architectures: [ARCHITECTURES[config.family]] }
  // Versions of transformers before 5 read the second name.
  files.set('config.json', `${JSON.stringify({ ...named, ...json, dtype, torch_dtype: dtype }, null, 2)}\n`)
  const taught = join(settings.adapter, PRM_FILE)
  if (existsSync(taught)) files.set(PRM_FILE, readFileSync(taught))
  if (!settings.modelfile) return { files, note: undefined }
  const tokenizer = loadTokenizer(settings.base_model)
  const chat = recogniseChat(tokenizer)
  files.set('Modelfile', modelfileText({ from: '.', chat, stops: stopTexts(tokenizer) }))
  const note = 'the chat template is none that stepdpo can write for Ollama: the Modelfile has no TEMPLATE'
  return { files, note: chat === undefined ? note : undefined }
}

function cardOf(work: Work): string {
  const { settings, adapter, dtype } = work
  return mergedCard({
    baseModel: titleOf(settings.base_model),
    adapterName: titleOf(settings.adapter),
    settings: adapter.settings,
    scale: loraScale(adapter.settings),
    dtype,
    rounding: roundingOf(work),
    version: packageVersion(),
  })
}
