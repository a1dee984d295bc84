/** Weights in blocks of integers: how far they are off, and that ONNX Runtime reads them as we wrote them. */
import { describe, expect, test } from 'vitest'
import { random } from '../base/random.ts'
import { makeGraph, runOnce, type Tensor } from './backend.ts'
import { BLOCK, fromBlocks, toBlocks } from './block-tensor.ts'
import { interpreter } from './interpret.ts'
import { input, matmul } from './ops.ts'
import { ortBackend } from './session.ts'

function draw(rows: number, columns: number): Tensor<Float32Array> {
  const source = random(1, 'blocks', rows, columns)
  return { data: Float32Array.from({ length: rows * columns }, () => 2 * source.uniform() - 1), shape: [rows, columns] }
}

describe.each([4, 8] as const)('%i bits', (bits) => {
  test('a value is off by half a step, at the far end of its block by one', () => {
    const weight = draw(5, 70) // the last block of a row is not full
    const back = fromBlocks(toBlocks(weight, bits)).data
    for (let at = 0; at < weight.data.length; at++) {
      const start = at - ((at % 70) % BLOCK)
      const end = Math.min(start + BLOCK, at - (at % 70) + 70)
      const most = Math.max(...Array.from(weight.data.subarray(start, end), Math.abs))
      expect(Math.abs(back[at] - weight.data[at])).toBeLessThan((1.0001 * most) / 2 ** (bits - 1))
    }
  })

  test('the largest value of a block stays as it is, and zeros stay zeros', () => {
    const data = new Float32Array(64)
    data.set([0.5, -3, 1], 32)
    const back = fromBlocks(toBlocks({ data, shape: [1, 64] }, bits)).data
    expect(back.subarray(0, 32).every((value) => value === 0)).toBe(true)
    expect(back[33]).toBe(-3)
    expect(back[40]).toBe(0)
  })

  test('ONNX Runtime multiplies with what the blocks stand for, to the rounding of activations to 8 bits', async () => {
    const y = matmul(input('x', ['T', 96]), input('weight', [40, 96]), { transposeB: true })
    const weight = toBlocks(draw(40, 96), bits)
    const x = draw(3, 96)
    const [expected, found] = await Promise.all(
      [interpreter, ortBackend({ threads: 1 })].map(async (backend) => {
        const program = await backend.compile(makeGraph({ y }), { weight })
        const { y: out } = await runOnce(backend, program, { x })
        await program.dispose()
        return out.data
      }),
    )
    // 96 products with activations that are off by 1/254 of the largest, evenly: about √96 · 0.58 · 0.004 / √3 each.
    expect(Math.max(...found.map((value, at) => Math.abs(value - expected[at])))).toBeLessThan(0.06)
  })
})
