/**
 * @file The CUDA provider without a card: npm run check:cuda. Linux on x64, Python with pip, gcc and nm.
 *
 * ONNX Runtime's provider itself, on libraries of CUDA that have memory and copies but no kernels (runtime.c). For every
 * family: whether each graph is accepted with all operators on the device; that nothing crosses but what our code gives and
 * asks; memory there, as a multiple of the weights in float32. What is computed is seen on a card only: npm run check:gpu.
 * Fetches the provider and CUDA's headers (260 MB) where they are not there. Set TOKENS, MODELS=path,path. Ends with code 1
 * where a graph is refused or more crosses.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { messageOf } from '../../src/base/errors.ts'
import { oraclePath } from '../../test/oracle.ts'
import { inChild } from '../child.ts'
import { printTable, setting } from '../measure.ts'
import { buildDriver } from './build.ts'

const TOKENS = setting('TOKENS', 64)
const FAMILIES = ['llama', 'mistral-fp16', 'phi', 'phi3', 'qwen2-bf16', 'qwen3', 'gemma3_text', 'smollm3']
const models = process.env['MODELS']?.split(',') ?? FAMILIES.map((name) => oraclePath(`models/${name}`))

const pair = z.tuple([z.number(), z.number()])
const outcome = z.object({ up: pair, down: pair, peak: z.number(), weights: z.number() })

const folder = join('build', 'cuda')
mkdirSync(folder, { recursive: true })
process.env['LD_LIBRARY_PATH'] = await buildDriver(folder)

/** Sizes that kernels are told, and the like. */
const isAll = ([crossed, ours]: z.output<typeof pair>): boolean => crossed >= ours && crossed <= 1.01 * ours + 65_536
const shown = ([crossed, ours]: z.output<typeof pair>): string =>
  `${(crossed / 1e6).toFixed(3)} (${(ours / 1e6).toFixed(3)})`

const rows: string[][] = []
for (const model of models) {
  for (const keeping of ['inputs', 'products']) {
    const counts = join(folder, 'counts')
    rmSync(counts, { force: true })
    process.env['STEPDPO_CUDA_COUNTS'] = counts
    try {
      const args = [model, String(TOKENS), keeping]
      const { up, down, peak, weights } = await inChild(join(import.meta.dirname, 'row.ts'), args, outcome)
      if (!isAll(up) || !isAll(down)) process.exitCode = 1
      const memory = [peak / 1e6, peak / weights].map((number) => number.toFixed(1))
      rows.push([basename(model), keeping, shown(up), shown(down), ...memory])
    } catch (error) {
      console.log(messageOf(error))
      process.exitCode = 1
    }
  }
}
printTable(['model', 'keeping', 'MB up (ours)', 'MB down (ours)', 'MB on the card', 'times the weights'], rows)
