/** Stored weights: what they stand for is the same in a program, in the interpreter and by their own definition. */
import { expect, test } from 'vitest'
import { random } from '../base/random.ts'
import { makeGraph, runOnce, type Tensor } from './backend.ts'
import { type BlockTensor, blockSizes, packCodes, toBlocks, unpackCodes } from './block-tensor.ts'
import { interpreter } from './interpret.ts'
import { input } from './ops.ts'
import { ortBackend } from './session.ts'
import { bytesKept, float32Of, formOf, type StoredTensor, storedRows } from './stored.ts'

const ROWS = 7

function draw(label: string, length: number, scale = 1): Float32Array {
  const source = random(3, 'stored', label)
  return Float32Array.from({ length }, () => scale * (2 * source.uniform() - 1))
}

function matrix(columns: number): Tensor<Float32Array> {
  return { data: draw('matrix', ROWS * columns), shape: [ROWS, columns] }
}

/** Blocks with any integers, scales of both signs and minimums. As in all formats, scale · q is exact in float32. */
function withMinimums(bits: 4 | 8, block: number, columns: number): BlockTensor {
  const form = { bits, block, shape: [ROWS, columns] as const }
  const { blocks, width } = blockSizes(form)
  const source = random(4, 'codes', bits, columns)
  const codes = Uint8Array.from({ length: ROWS * width }, () => source.uint32() % 2 ** bits)
  const [scales, minimums] = ['scales', 'minimums'].map((label) =>
    draw(label, ROWS * blocks).map((value) => Math.round(value * 2 ** 15) / 2 ** 15),
  )
  return { storage: 'blocks', ...form, packed: packCodes(codes, form), scales, minimums }
}

/** Every exponent of a 16-bit format with either sign, subnormal numbers and zeros; nothing infinite. */
function halves(storage: 'bfloat16' | 'float16'): StoredTensor {
  const limit = storage === 'bfloat16' ? 0x7f80 : 0x7c00
  const data = Uint16Array.from({ length: ROWS * 1024 }, (_, at) => ((at * 37) % limit) | (at % 2 === 0 ? 0 : 0x8000))
  return { storage, data, shape: [ROWS, 1024] }
}

const cases: readonly (readonly [string, StoredTensor])[] = [
  ['bfloat16', halves('bfloat16')],
  ['float16', halves('float16')],
  ['8 bits', toBlocks(matrix(96), 8)],
  ['4 bits', toBlocks(matrix(96), 4)],
  ['4 bits, the last block not full', toBlocks(matrix(70), 4)],
  ['8 bits, the last block not full', toBlocks(matrix(70), 8)],
  ['4 bits with minimums', withMinimums(4, 32, 64)],
  ['8 bits with minimums in blocks of 16', withMinimums(8, 16, 48)],
]

const bitsOf = (data: Float32Array): Uint32Array => new Uint32Array(data.buffer, data.byteOffset, data.length)

test.each(cases)('%s become the float32 they stand for, bit for bit, all at once and in pieces', async (_, tensor) => {
  const { data: expected, shape } = float32Of(tensor)
  const graph = makeGraph({ y: input('weight', ['R', shape[1]]) })
  const programs = [
    await interpreter.compile(graph),
    await ortBackend({ threads: 1 }).compile(graph, {}, { weight: formOf(tensor) }),
  ]
  for (const program of programs) {
    for (const [start, end] of [
      [0, ROWS],
      [2, 5],
      [6, 7],
    ]) {
      const backend = program === programs[0] ? interpreter : ortBackend({ threads: 1 })
      const { y } = await runOnce(backend, program, { weight: storedRows(tensor, start, end) })
      const found = Float32Array.from(y.data)
      expect(bitsOf(found)).toEqual(bitsOf(expected.slice(start * shape[1], end * shape[1])))
    }
    await program.dispose()
  }
})

test('packing loses nothing', () => {
  const codes = Uint8Array.from({ length: 3 * 64 }, (_, at) => (at * 7) % 16)
  const tensor = { ...toBlocks(matrix(64), 4), shape: [3, 64] as const }
  expect(unpackCodes({ ...tensor, packed: packCodes(codes, tensor) })).toEqual(codes)
})

test('a weight takes 2 bytes in 16 bits, and in blocks of 32 four bytes more than its integers', () => {
  expect(bytesKept(halves('float16'))).toBe(2 * ROWS * 1024)
  expect(bytesKept(toBlocks(matrix(96), 8))).toBe(ROWS * (96 + 3 * 4))
  expect(bytesKept(toBlocks(matrix(96), 4))).toBe(ROWS * (48 + 3 * 4))
})

test('a stored tensor whose arrays have another length than its shape asks for is refused', async () => {
  const whole = toBlocks(matrix(64), 4)
  const graph = makeGraph({ y: input('weight', ['R', 64]) })
  const program = await ortBackend({ threads: 1 }).compile(graph, {}, { weight: formOf(whole) })
  const cut = { ...whole, scales: whole.scales.subarray(1) }
  await expect(runOnce(interpreter, program, { weight: cut })).rejects.toThrow("feed 'weight'")
  await program.dispose()
})
