import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { random } from '../base/random.ts'
import { makeGraph, runOnce } from '../engine/backend.ts'
import { interpreter } from '../engine/interpret.ts'
import { input, matmul } from '../engine/ops.ts'
import { ortBackend } from '../engine/session.ts'
import { float32Of, formOf } from '../engine/stored.ts'
import { type BlockTypeName, blockTypes, readBlocks } from './blocks.ts'
import { tensorValues } from './gguf.ts'

interface BlockCase {
  readonly type: BlockTypeName
  readonly how: string
  readonly blocks: string
  readonly values: string
}
const path = join(import.meta.dirname, '../../test/fixtures/gguf/blocks.json')
const { cases }: { cases: readonly BlockCase[] } = JSON.parse(readFileSync(path, 'utf8'))

/** A buffer of its own, as tensors are read into. */
function fromBase64(text: string): ArrayBuffer {
  return new Uint8Array(Buffer.from(text, 'base64')).buffer
}

test.each(cases)('$how blocks of $type have the values that gguf-py gives them, bit for bit', (given) => {
  const values = tensorValues(given.type, fromBase64(given.blocks))
  expect(new Uint32Array(values.buffer)).toEqual(new Uint32Array(fromBase64(given.values)))
})

test('every block type has a case', () => {
  expect(new Set(cases.map(({ type }) => type))).toEqual(new Set(Object.keys(blockTypes)))
})

const matrices = cases.flatMap(({ type, how, blocks }) => {
  const layout = blockTypes[type]
  if (layout.storage !== 'blocks' || how !== 'random') return []
  const bytes = fromBase64(blocks)
  // One row of whole blocks for 256 values.
  const rows = Math.floor((bytes.byteLength / layout.bytes) * (layout.values / 256))
  const used = bytes.slice(0, ((rows * 256) / layout.values) * layout.bytes)
  return rows === 0 ? [] : [{ type, weight: readBlocks(layout, used, rows, 256) }]
})

test.each(matrices)('a matrix of $type unfolds in a graph to its values, bit for bit', async ({ weight }) => {
  const ort = ortBackend({ threads: 1 })
  const program = await ort.compile(makeGraph({ y: input('weight', ['R', 256]) }), {}, { weight: formOf(weight) })
  const found = await runOnce(ort, program, { weight })
  await program.dispose()
  expect(Float32Array.from(found.y.data)).toEqual(float32Of(weight).data)
})

const plain = matrices.filter(({ weight }) => weight.minimums === undefined)

test.each(plain)('a matrix of $type multiplies as blocks, to the rounding of activations', async ({ weight }) => {
  const [rows, columns] = weight.shape
  const y = matmul(input('x', ['T', columns]), input('weight', [rows, columns]), { transposeB: true })
  const source = random(2, 'activations')
  const x = { data: Float32Array.from({ length: 2 * columns }, () => 2 * source.uniform() - 1), shape: [2, columns] }
  const [expected, found] = await Promise.all(
    [interpreter, ortBackend({ threads: 1 })].map(async (backend) => {
      const program = await backend.compile(makeGraph({ y }), { weight })
      const { y: product } = await runOnce(backend, program, { x })
      await program.dispose()
      return product.data
    }),
  )
  const exact = float32Of(weight).data
  for (let at = 0; at < 2 * rows; at++) {
    const row = (at % rows) * columns
    // Activations are off by 1/254 of the largest, evenly: 0.0023 · ‖row‖, of which five times is never met.
    const norm = Math.hypot(...exact.subarray(row, row + columns))
    expect(Math.abs(found[at] - expected[at])).toBeLessThan(5 * 0.0023 * norm)
  }
})
