import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { UserError } from '../base/errors.ts'
import { safetensorsParts } from './safetensors-write.ts'
import { openWeights } from './tensor-source.ts'

const smallGguf = join(import.meta.dirname, '../../test/fixtures/gguf/small.gguf')
const shared = join(import.meta.dirname, '../../../shared')

let root = ''
let folder = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'weights-'))
  folder = join(root, 'model')
  mkdirSync(folder)
})
afterEach(() => rmSync(root, { recursive: true }))

/** Writes a file with one tensor of one number. */
function writeTensor(path: string, name: string, value: number): void {
  const tensor = { shape: [1], data: Float32Array.of(value) }
  writeFileSync(path, Buffer.concat([...safetensorsParts(new Map([[name, tensor]]))]))
}

function writeIndex(weightMap: unknown): void {
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }))
}

test('one safetensors file comes before an index, and an index before a GGUF file', () => {
  copyFileSync(smallGguf, join(folder, 'small.gguf'))
  const opened = () => {
    const source = openWeights(folder)
    source.close()
    return source
  }
  expect(opened().path).toBe(join(folder, 'small.gguf'))
  writeTensor(join(folder, 'a.safetensors'), 'a', 1)
  writeIndex({ a: 'a.safetensors' })
  expect([...opened().names]).toEqual(['a'])
  writeTensor(join(folder, 'model.safetensors'), 'b', 2)
  expect([...opened().names]).toEqual(['b'])
})

test('tensors of several shards are read each from its own', () => {
  writeTensor(join(folder, 'one.safetensors'), 'a', 1)
  writeTensor(join(folder, 'two.safetensors'), '__proto__', 2)
  writeFileSync(
    join(folder, 'model.safetensors.index.json'),
    '{"metadata":{"total_size":8.0},"weight_map":{"a":"one.safetensors","__proto__":"two.safetensors"}}',
  )
  const source = openWeights(folder)
  expect(source.names).toEqual(new Set(['a', '__proto__']))
  expect([source.read('a'), source.read('__proto__')]).toEqual([Float32Array.of(1), Float32Array.of(2)])
  expect(source.shape('a')).toEqual([1])
  expect(() => source.read('c')).toThrow("expected a tensor 'c', found none")
  expect(() => source.shape('toString')).toThrow("expected a tensor 'toString', found none")
  source.close()
})

test.each<[string, unknown, string]>([
  ['a shard that is not there', { a: 'one.safetensors', b: 'two.safetensors' }, 'two.safetensors'],
  [
    'a tensor that is not in its shard',
    { b: 'one.safetensors' },
    "expected the tensor 'b' of model.safetensors.index.json",
  ],
  ['a shard that is no name', { a: 7 }, "the name of a file for 'a', found number"],
  ['a weight_map that is text', 'one.safetensors', "an object 'weight_map'"],
  ['no weight_map', undefined, "an object 'weight_map'"],
])('an index with %s is refused', (_, weightMap, message) => {
  writeTensor(join(folder, 'one.safetensors'), 'a', 1)
  writeIndex(weightMap)
  expect(() => openWeights(folder)).toThrow(UserError)
  expect(() => openWeights(folder)).toThrow(message)
})

test('an index that is no JSON is refused', () => {
  writeFileSync(join(folder, 'model.safetensors.index.json'), '{"weight_map":')
  expect(() => openWeights(folder)).toThrow(/index\.json: expected JSON, found not JSON/)
})

describe('names that lead out of the folder', () => {
  // The file outside is a valid shard: whoever opens it loads it.
  beforeEach(() => writeTensor(join(root, 'outside.safetensors'), 'a', 666))

  const names: readonly string[] = [
    '../outside.safetensors',
    './../outside.safetensors',
    'x/../../outside.safetensors',
    '..\\outside.safetensors',
    '/etc/passwd',
    '\\\\server\\share\\a.safetensors',
    'C:\\a.safetensors',
    'C:a.safetensors',
    'outside.safetensors\0',
    '\0',
    '..',
    '.',
    '',
    'file:///etc/passwd',
    '%2e%2e/outside.safetensors',
  ]
  test.each(names)('%j in a weight_map is refused by name', (name) => {
    writeIndex({ a: name })
    expect(() => openWeights(folder)).toThrow(
      `expected the plain name of a file in this folder, found ${JSON.stringify(name)}`,
    )
  })

  test('an absolute path and a link to a file or through a folder outside are refused', () => {
    writeIndex({ a: join(root, 'outside.safetensors') })
    expect(() => openWeights(folder)).toThrow('expected the plain name')
    writeIndex({ a: 'link.safetensors' })
    symlinkSync('../outside.safetensors', join(folder, 'link.safetensors'))
    expect(() => openWeights(folder)).toThrow('out of its folder')
    symlinkSync(root, join(folder, 'up'))
    writeIndex({ a: 'up/outside.safetensors' })
    expect(() => openWeights(folder)).toThrow('expected the plain name')
    symlinkSync('up/outside.safetensors', join(folder, 'model.safetensors'))
    expect(() => openWeights(folder)).toThrow('out of its folder')
  })

  test('an index that is itself a link is refused', () => {
    writeFileSync(join(root, 'index.json'), '{"weight_map":{}}')
    symlinkSync('../index.json', join(folder, 'model.safetensors.index.json'))
    expect(() => openWeights(folder)).toThrow('out of its folder')
  })

  test('a link to another file of the folder, and a link to the folder, lead nowhere else', () => {
    writeTensor(join(folder, 'one.safetensors'), 'a', 1)
    symlinkSync('one.safetensors', join(folder, 'model.safetensors'))
    symlinkSync('model', join(root, 'alias'))
    const source = openWeights(join(root, 'alias'))
    expect(source.read('a')).toEqual(Float32Array.of(1))
    source.close()
  })

  test.skipIf(process.platform === 'win32')('a shard that is a FIFO is refused without waiting', () => {
    execFileSync('mkfifo', [join(folder, 'fifo.safetensors')])
    writeIndex({ a: 'fifo.safetensors' })
    expect(() => openWeights(folder)).toThrow('fifo.safetensors is not a regular file')
  })
})

describe('the cache of huggingface_hub', () => {
  const cached = (): string => join(root, 'models--org--name/snapshots/0123abcd')
  beforeEach(() => {
    mkdirSync(cached(), { recursive: true })
    mkdirSync(join(root, 'models--org--name/blobs'))
    mkdirSync(join(root, 'models--org--other/blobs'), { recursive: true })
    writeTensor(join(root, 'models--org--name/blobs/ffee'), 'a', 1)
    writeTensor(join(root, 'models--org--other/blobs/ffee'), 'a', 2)
  })

  test('links into the blobs of the same model are followed', () => {
    symlinkSync('../../blobs/ffee', join(cached(), 'model.safetensors'))
    const source = openWeights(cached())
    expect(source.read('a')).toEqual(Float32Array.of(1))
    source.close()
  })

  test('links into the blobs of another model, and into blobs below a folder of another name, are refused', () => {
    symlinkSync('../../../models--org--other/blobs/ffee', join(cached(), 'model.safetensors'))
    expect(() => openWeights(cached())).toThrow('out of its folder')
    const elsewhere = join(root, 'models--org--name/elsewhere/0123abcd')
    mkdirSync(elsewhere, { recursive: true })
    symlinkSync('../../blobs/ffee', join(elsewhere, 'model.safetensors'))
    expect(() => openWeights(elsewhere)).toThrow('out of its folder')
  })
})

test('a folder without weights says what was looked for and what is there instead', () => {
  expect(() => openWeights(folder)).toThrow(
    'expected model.safetensors, model.safetensors.index.json or one .gguf file, found none of them',
  )
  writeFileSync(join(folder, 'pytorch_model.bin'), 'PK')
  expect(() => openWeights(folder)).toThrow(
    /found pytorch_model\.bin, which holds pickles: .* convert it with transformers/,
  )
  writeFileSync(join(folder, 'b.gguf'), '')
  writeFileSync(join(folder, 'a.GGUF'), '')
  expect(() => openWeights(folder)).toThrow('found a.GGUF, b.gguf: name one of them instead of the folder')
  expect(() => openWeights(join(root, 'missing'))).toThrow(UserError)
})

test('a pickle under another name is refused by its content', () => {
  for (const name of ['model.safetensors', 'model.gguf']) {
    writeFileSync(join(folder, name), 'PK\x03\x04 archive/data.pkl cos\nsystem')
    expect(() => openWeights(join(folder))).toThrow(/found a zip archive, as PyTorch packs pickles/)
    rmSync(join(folder, name))
  }
})

test('a GGUF file has the names and the order of rows of transformers', () => {
  interface Expected {
    readonly shape: readonly number[]
    readonly sum: number
    readonly weighted: number
    readonly first: readonly number[]
  }
  const path = join(import.meta.dirname, '../../test/fixtures/gguf/small.json')
  const { tensors }: { tensors: Readonly<Record<string, Expected>> } = JSON.parse(readFileSync(path, 'utf8'))
  const source = openWeights(smallGguf)
  expect([...source.names].sort()).toEqual(Object.keys(tensors).sort())
  for (const [name, expected] of Object.entries(tensors)) {
    expect(source.shape(name)).toEqual(expected.shape)
    const values = source.read(name)
    let sum = 0
    let weighted = 0
    values.forEach((value, index) => {
      sum += value
      weighted += value * (index + 1)
    })
    expect([...values.subarray(0, 4)], name).toEqual(expected.first)
    expect(sum, name).toBeCloseTo(expected.sum, 9)
    expect(weighted, name).toBeCloseTo(expected.weighted, 6)
  }
  source.close()
})

/** The small file with one name in it changed to another of the same length. */
function writeRenamed(from: string, to: string): void {
  const bytes = readFileSync(smallGguf)
  bytes.write(to, bytes.indexOf(from), 'latin1')
  writeFileSync(join(folder, 'a.gguf'), bytes)
}

test.each([
  ['llama', 'bloom', "expected a model of the architecture llama, qwen2, qwen3, phi3, smollm3, gemma3, found 'bloom'"],
  [
    'blk.0.ffn_norm.weight',
    'blk.0.ffn_nope.weight',
    "expected tensors that a llama model has, found 'blk.0.ffn_nope.weight'",
  ],
  ['blk.0.ffn_norm.weight', '__proto__.ffn_n.weight'.slice(0, 21), 'expected tensors that a llama model has'],
  ['output_norm.weight', 'constructor.weight', "found 'constructor.weight'"],
])('a GGUF file with %s renamed to %s is refused', (from, to, message) => {
  writeRenamed(from, to)
  expect(() => openWeights(folder)).toThrow(message)
})

test('heads that do not divide the rows are refused', () => {
  const bytes = readFileSync(smallGguf)
  const key = 'llama.attention.head_count'
  bytes.writeUInt32LE(7, bytes.indexOf(key) + key.length + 4)
  writeFileSync(join(folder, 'a.gguf'), bytes)
  const source = openWeights(folder)
  expect(() => source.read('model.layers.0.self_attn.q_proj.weight')).toThrow(
    "rows of 'blk.0.attn_q.weight' in 7 even heads",
  )
  source.close()
})

test.skipIf(!existsSync(shared))('the five shards of a model that transformers saved open as one', () => {
  const source = openWeights(join(shared, 'fixtures/models/llama-untied'))
  expect(source.names.size).toBe(30)
  expect(source.shape('lm_head.weight')).toEqual([272, 64])
  expect(source.read('lm_head.weight')).toHaveLength(272 * 64)
  source.close()
})

test.skipIf(!existsSync(shared))('rows of q and k of SmolLM2 stand in the order of transformers', () => {
  const reference: Readonly<Record<string, readonly number[]>> = JSON.parse(
    readFileSync(join(shared, 'fixtures/smollm2/gguf.json'), 'utf8'),
  )
  const source = openWeights(join(shared, 'models/SmolLM2-135M-Instruct'))
  const query = source.read('model.layers.0.self_attn.q_proj.weight')
  const key = source.read('model.layers.0.self_attn.k_proj.weight')
  expect([...query.subarray(0, 64)]).toEqual(reference['transformers_q_proj_first_64'])
  expect([...query.subarray(576, 576 + 64)]).toEqual(reference['transformers_q_proj_row_1_first_64'])
  expect([...key.subarray(576, 576 + 64)]).toEqual(reference['transformers_k_proj_row_1_first_64'])
  source.close()
})
