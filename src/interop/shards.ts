/** @file How weights are spread over files, as transformers does it: in order, each file filled up to a size. */

export interface SizedTensor {
  readonly name: string
  readonly byteLength: number
  /** Numbers in it. */
  readonly count: number
}

export interface Shard {
  readonly file: string
  readonly names: readonly string[]
}

export const INDEX_FILE = 'model.safetensors.index.json'

/** A tensor larger than `maxBytes` has a file of its own (split_state_dict_into_shards_factory of huggingface_hub). */
export function planShards(tensors: readonly SizedTensor[], maxBytes: number): Shard[] {
  const shards: string[][] = []
  let current: string[] = []
  let size = 0
  for (const { name, byteLength } of tensors) {
    if (byteLength > maxBytes) {
      shards.push([name])
      continue
    }
    if (size + byteLength > maxBytes) {
      shards.push(current)
      current = []
      size = 0
    }
    current.push(name)
    size += byteLength
  }
  if (current.length > 0) shards.push(current)
  if (shards.length === 1) return [{ file: 'model.safetensors', names: shards[0] }]
  const pad = (number: number): string => String(number).padStart(5, '0')
  return shards.map((names, at) => ({ file: `model-${pad(at + 1)}-of-${pad(shards.length)}.safetensors`, names }))
}

/** The content of model.safetensors.index.json, keys sorted. */
export function shardIndex(tensors: readonly SizedTensor[], shards: readonly Shard[]): string {
  const total = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0)
  const holders = shards.flatMap(({ file, names }) => names.map((name): [string, string] => [name, file]))
  const index = {
    metadata: {
      total_parameters: total(tensors.map(({ count }) => count)),
      total_size: total(tensors.map(({ byteLength }) => byteLength)),
    },
    weight_map: Object.fromEntries(holders.sort(([a], [b]) => (a < b ? -1 : 1))),
  }
  return `${JSON.stringify(index, null, 2)}\n`
}

const UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 }

/** A size in bytes, such as 5GB (powers of ten, as in transformers); undefined for another text. */
export function parseSize(text: string): number | undefined {
  const [, number, unit = 'B'] = /^(\d+(?:\.\d+)?)\s*([KMGT]?B)?$/i.exec(text.trim()) ?? []
  const bytes = Math.floor(Number(number) * UNITS[unit.toUpperCase()])
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined
}
