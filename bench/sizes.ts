/**
 * @file What memory training takes at the sizes people use: npm run bench:sizes.
 *
 * Random models in the shape of real ones are written to a temporary folder, as large as those: TinyLlama-1.1B in
 * bfloat16 (2.2 GB) and Llama-2-7b in GGUF's Q4_0 (4.2 GB). `stepdpo train` then makes UPDATES (5) updates of one pair with
 * LoRA r16 on all linears, in a process of its own, whose peak of memory is printed with the first loss (ln 2, as the
 * adapter changes nothing yet) and the median time of an update. The program is the built one: tsx takes memory, too. Set SHAPES=TinyLlama-1.1B,Llama-2-7b, WORDS.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { inChild } from './child.ts'
import { median, peakGb, printTable, setting } from './measure.ts'
import { writeBfloat16, writeQ40 } from './random-model.ts'
import { shapes } from './shapes.ts'

const BUILT = new URL('../dist/command/main.js', import.meta.url).href
const UPDATES = setting('UPDATES', 5)
const WORDS = setting('WORDS', 12)

const cases = {
  'TinyLlama-1.1B': {
    limitGb: 3,
    stored: 'bfloat16',
    // As a machine with so little memory would choose by itself.
    flags: ['--gradient_checkpointing'],
    write: (folder: string) => writeBfloat16(folder, shapes['TinyLlama-1.1B']),
  },
  'Llama-2-7b': {
    limitGb: 8,
    stored: 'Q4_0',
    flags: [],
    write: (folder: string) => writeQ40(folder, shapes['Llama-2-7b']),
  },
}

const resultSchema = z.object({ peak: z.number(), losses: z.array(z.number()), seconds: z.array(z.number()) })

/** Pairs of a byte-level tokenizer: each word has four tokens and a space. */
function writePairs(path: string): void {
  const words = (seed: number, count: number): string =>
    Array.from({ length: count }, (_, at) => String(((at + 1) * 7919 * (seed + 3)) % 10000).padStart(4, '0')).join(' ')
  const row = (at: number) => ({
    prompt: words(at, Math.ceil(WORDS / 3)),
    chosen: words(at + 100, Math.ceil(WORDS / 3)),
    rejected: words(at + 200, Math.ceil(WORDS / 3)),
  })
  writeFileSync(path, Array.from({ length: UPDATES + 3 }, (_, at) => `${JSON.stringify(row(at))}\n`).join(''))
}

async function train(folder: string, more: readonly string[]): Promise<z.output<typeof resultSchema>> {
  const output = join(folder, 'run')
  const flags = [
    '--base_model',
    join(folder, 'model'),
    '--dataset_path',
    join(folder, 'pairs.jsonl'),
    '--output_dir',
    output,
  ]
  const batch = ['--per_device_train_batch_size', '1', '--gradient_accumulation_steps', '1', '--learning_rate', '1e-4']
  const { main }: typeof import('../src/cli/main.ts') = await import(BUILT)
  await main([
    'train',
    ...flags,
    ...batch,
    ...more,
    '--max_steps',
    String(UPDATES),
    '--logging_steps',
    '1',
    '--report_to',
    'none',
  ])
  const lines = readFileSync(join(output, 'stepdpo', 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
  const updates = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'update-end')
  return {
    peak: peakGb(),
    losses: updates.map(({ metrics }) => metrics.loss),
    seconds: updates.map(({ seconds }) => seconds),
  }
}

async function compare(): Promise<void> {
  const asked = (process.env['SHAPES'] ?? Object.keys(cases).join(',')).split(',')
  const rows: string[][] = []
  for (const [name, { limitGb, stored, flags, write }] of Object.entries(cases)) {
    if (!asked.includes(name)) continue
    const folder = mkdtempSync(join(tmpdir(), 'stepdpo-sizes-'))
    try {
      write(join(folder, 'model'))
      writePairs(join(folder, 'pairs.jsonl'))
      const { peak, losses, seconds } = await inChild(import.meta.filename, [folder, ...flags], resultSchema)
      rows.push([
        name,
        [stored, ...flags].join(' '),
        peak.toFixed(2),
        String(limitGb),
        losses.map((loss) => loss.toFixed(4)).join(' '),
        median(seconds).toFixed(1),
      ])
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
  printTable(['model', 'stored', 'peak GB', 'goal ≤', `loss of ${UPDATES} updates`, 's an update'], rows)
}

const [folder, ...more] = process.argv.slice(2)
if (folder === undefined) await compare()
else process.send?.(await train(folder, more))
