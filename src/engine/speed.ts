/** @file How fast this machine computes, by a short trial: its matrix products, and the unfolding of stored weights. */
import { makeGraph } from './backend.ts'
import { input, matmul } from './ops.ts'
import { ortBackend } from './session.ts'

export interface Speed {
  /** Floating-point operations a second of a product of these sizes. */
  readonly flops: number
  /** Stored weights a second that become float32. */
  readonly decoded: number
}

const TRIAL_MS = 400
const ROWS = 256
const STORED = 1 << 20

/** The median of the runs that `TRIAL_MS` allow, in seconds: the best of them no training keeps up. */
async function medianSeconds(run: () => Promise<void>): Promise<number> {
  await run()
  const times: number[] = []
  for (const begun = performance.now(); performance.now() - begun < TRIAL_MS; ) {
    const started = performance.now()
    await run()
    times.push(performance.now() - started)
  }
  times.sort((a, b) => a - b)
  return times[times.length >> 1] / 1000
}

/** Takes about a second. `inputs` and `outputs`: the sizes of the products that matter. */
export async function measureSpeed(threads: number, inputs: number, outputs: number): Promise<Speed> {
  const backend = ortBackend({ threads })
  const x = { data: new Float32Array(ROWS * inputs).fill(0.5), shape: [ROWS, inputs] }
  const weight = { data: new Float32Array(outputs * inputs).fill(0.5), shape: [outputs, inputs] }
  const y = { data: new Float32Array(ROWS * outputs), shape: [ROWS, outputs] }
  const product = matmul(input('x', ['T', inputs]), input('weight', [outputs, inputs]), { transposeB: true })
  const products = await backend.compile(makeGraph({ y: product }))
  const seconds = await medianSeconds(() => products.run({ x, weight }, { y }))
  await products.dispose()
  const stored = { storage: 'bfloat16', data: new Uint16Array(STORED), shape: [STORED / 1024, 1024] } as const
  const float32 = { data: new Float32Array(STORED), shape: stored.shape }
  const decoding = await backend.compile(makeGraph({ float32: input('stored', ['R', 1024]) }), {}, { stored })
  const decodingSeconds = await medianSeconds(() => decoding.run({ stored }, { float32 }))
  await decoding.dispose()
  return { flops: (2 * ROWS * inputs * outputs) / seconds, decoded: STORED / decodingSeconds }
}
