/**
 * @file Decoding against transformers' `generate`: npm run bench:decode.
 *
 * SmolLM2-135M in float32, greedy, TOKENS (64) new tokens for each of 1, 8 and 32 questions of GSM8K in one batch, the
 * reading of the prompts included; and a model of 0.9 M random weights, sampled at temperature 1, 100 tokens after each of
 * 64, 128 and 256 prompts of 40. Each side in a process of its own, in turns, after a short call that is not counted.
 * Then, without a peer: int8 and int4 weights, their speed, and how often the next token differs when the model is given
 * the tokens of float32. Set ROUNDS, TOKENS, THREADS; ONLY=smollm2, tiny or storages for a part.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { readJudgeRows } from '../src/data/judge-rows.ts'
import { ortBackend } from '../src/engine/session.ts'
import type { ModelConfig } from '../src/model/config.ts'
import { argmax, type Decoder, openDecoder, STORAGES, type Storage } from '../src/model/decode.ts'
import { parseModelConfig } from '../src/model/families.ts'
import { loadModel } from '../src/model/load.ts'
import { makeMachine } from '../src/model/machine.ts'
import type { GenerateRequest } from '../src/rollout/generator.ts'
import { localGenerator } from '../src/rollout/local.ts'
import { loadTokenizer, type Tokenizer } from '../src/text/tokenizer.ts'
import { inChild } from './child.ts'
import { median, peakGb, printTable, setting, showSpread } from './measure.ts'
import { findPeer, MODEL, type Peer, ROOT } from './peer.ts'
import { randomWeights } from './shapes.ts'

const ROUNDS = setting('ROUNDS', 3)
const THREADS = setting('THREADS', 2)
const ONLY = process.env['ONLY']

type Ids = readonly number[]

/** What one side is to do. */
interface Job {
  readonly model?: string
  readonly config?: object
  readonly storage?: Storage
  readonly batches: readonly (readonly Ids[])[]
  readonly tokens: number
  readonly sample: boolean
  readonly threads: number
}

/** Seconds of each batch, and the tokens written. */
const resultSchema = z.object({
  seconds: z.array(z.number().positive()),
  ids: z.array(z.array(z.array(z.number()))),
  peak: z.number().optional(),
})
type Result = z.output<typeof resultSchema>

const TINY = {
  model_type: 'llama',
  vocab_size: 400,
  hidden_size: 128,
  intermediate_size: 384,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 4,
  max_position_embeddings: 512,
  tie_word_embeddings: true,
}

async function openJob({ model, config, storage }: Pick<Job, 'model' | 'config' | 'storage'>): Promise<Decoder> {
  const parsed: ModelConfig | undefined = model === undefined ? parseModelConfig(config, 'bench') : undefined
  const loaded = parsed === undefined ? loadModel(model ?? '') : { config: parsed, weights: randomWeights(parsed) }
  return openDecoder(makeMachine(ortBackend({ threads: THREADS }), loaded.config, loaded.weights), { storage })
}

/** Of a tokenizer only what completions of token ids need, and no token that ends one. */
const noWords: Tokenizer = { ...loadTokenizer(MODEL), eosIds: [], decodeContinuation: () => '' }

async function complete(
  decoder: Decoder,
  prompts: readonly Ids[],
  tokens: number,
  sample: boolean,
): Promise<number[][]> {
  const requests = prompts.map(
    (raw, at): GenerateRequest => ({ id: String(at), prompt: { raw }, continued: '', sample: 0 }),
  )
  const sampling = { temperature: sample ? 1 : 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, stop: [], seed: 0 }
  const found: number[][] = []
  const generator = localGenerator({ name: 'bench', decoder, tokenizer: noWords }, prompts.length)
  const wanted = { ...sampling, maxTokens: tokens, logprobs: false }
  for await (const { request, ids } of generator.generate(requests, wanted, new AbortController().signal)) {
    found[Number(request.id)] = [...ids]
  }
  return found
}

async function measure(job: Job): Promise<Result> {
  const decoder = await openJob(job)
  await complete(decoder, job.batches[0], 4, job.sample)
  const result: Result = { seconds: [], ids: [] }
  for (const prompts of job.batches) {
    const started = performance.now()
    result.ids.push(await complete(decoder, prompts, job.tokens, job.sample))
    result.seconds.push((performance.now() - started) / 1000)
  }
  return { ...result, peak: peakGb() }
}

/** For int8 and int4: the part of the tokens of float32 in whose place the most likely token is another one. */
async function differences({ model, batches: [prompts], tokens }: Job): Promise<number[]> {
  const exact = await openJob({ model })
  const texts = await complete(exact, prompts, tokens, false)
  await exact.dispose()
  const shares: number[] = []
  for (const storage of STORAGES.slice(1)) {
    const decoder = await openJob({ model, storage })
    const batch = decoder.openBatch(prompts.length)
    let others = 0
    for (const [place, ids] of prompts.entries()) {
      const prompt = await decoder.prompt(ids)
      batch.start(place, prompt)
      if (argmax(prompt.logits) !== texts[place][0]) others++
    }
    for (let at = 1; at < tokens; at++) {
      const { data, shape } = await batch.step(texts.map((ids) => ids[at - 1]))
      texts.forEach((ids, row) => {
        if (argmax(data.subarray(row * shape[1], (row + 1) * shape[1])) !== ids[at]) others++
      })
    }
    await decoder.dispose()
    shares.push(others / (tokens * prompts.length))
  }
  return shares
}

async function inTurns(job: Job, peer: Peer | undefined, file: string) {
  writeFileSync(file, JSON.stringify(job))
  const ours: Result[] = []
  const theirs: Result[] = []
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await inChild(import.meta.filename, ['measure', file], resultSchema))
    if (peer === undefined) continue
    const printed = await peer.run(fileURLToPath(new URL('torch_decode.py', import.meta.url)), [file])
    theirs.push(resultSchema.parse(JSON.parse(printed.trim().split('\n').at(-1) ?? '')))
  }
  return { ours, theirs }
}

function showRatios(job: Job, { ours, theirs }: { ours: Result[]; theirs: Result[] }): void {
  const rate = (batch: number, { seconds }: Result): number => (job.batches[batch].length * job.tokens) / seconds[batch]
  const rows = job.batches.map((prompts, at) => {
    const rates = (sides: Result[]): string =>
      sides.length === 0 ? '' : median(sides.map((side) => rate(at, side))).toFixed(0)
    const ratios = theirs.map((side, round) => rate(at, ours[round]) / rate(at, side))
    const same =
      theirs.length === 0 ? [] : ours[0].ids[at].map((ids, row) => ids.join() === theirs[0].ids[at][row].join())
    return [
      String(prompts.length),
      rates(ours),
      rates(theirs),
      ratios.length === 0 ? '' : showSpread(ratios, 2),
      job.sample || same.length === 0 ? '' : `${same.filter((one) => one).length} of ${same.length}`,
    ]
  })
  printTable(['batch', 'tok/s ours', 'tok/s transformers', 'ratio median (min–max)', 'completions equal'], rows)
  const peaks = ours.map(({ peak }) => peak ?? 0)
  console.log(`peak memory ours ${showSpread(peaks, 2)} GB`)
}

async function questions(count: number): Promise<Ids[]> {
  const tokenizer = loadTokenizer(MODEL)
  const found: Ids[] = []
  for await (const read of readJudgeRows(join(ROOT, '..', 'shared', 'data', 'processbench', 'gsm8k.json'), 'auto')) {
    if (found.length === count) break
    if ('row' in read) found.push(tokenizer.chatPrompt([{ role: 'user', content: read.row.solution.problem }]))
  }
  return found
}

async function compare(file: string): Promise<void> {
  const peer = await findPeer(['torch', 'transformers', 'gguf'])
  const model = peer?.model ?? MODEL
  const asked = await questions(32)
  const smollm2: Job = {
    model,
    batches: [1, 8, 32].map((count) => asked.slice(0, count)),
    tokens: setting('TOKENS', 64),
    sample: false,
    threads: THREADS,
  }
  if (ONLY === undefined || ONLY === 'smollm2') {
    console.log('\nSmolLM2-135M, float32, greedy; goals: ratio ≥ 1.5 at 1, ≥ 1.1 at 8 and 32')
    showRatios(smollm2, await inTurns(smollm2, peer, file))
  }
  if (ONLY === undefined || ONLY === 'tiny') {
    const prompt = (row: number): Ids => Array.from({ length: 40 }, (_, at) => 2 + ((row * 31 + at * 17) % 398))
    const batches = [64, 128, 256].map((count) => Array.from({ length: count }, (_, row) => prompt(row)))
    const tiny: Job = { config: TINY, batches, tokens: 100, sample: true, threads: THREADS }
    console.log('\n4 layers of 128, sampled; goal: 15,000 tok/s')
    showRatios(tiny, await inTurns(tiny, peer, file))
  }
  if (ONLY === undefined || ONLY === 'storages') {
    for (const storage of STORAGES) {
      console.log(`\nSmolLM2-135M, ${storage}`)
      const job = { ...smollm2, storage }
      showRatios(job, await inTurns(job, undefined, file))
    }
    writeFileSync(file, JSON.stringify({ ...smollm2, batches: [asked] }))
    const shares = await inChild(import.meta.filename, ['differences', file], z.array(z.number()))
    console.log(`\ntokens that differ from float32: int8 ${percent(shares[0])}, int4 ${percent(shares[1])}`)
  }
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`
}

const jobSchema = z.object({
  model: z.string().optional(),
  config: z.looseObject({}).optional(),
  storage: z.enum(STORAGES).optional(),
  batches: z.array(z.array(z.array(z.number()))),
  tokens: z.number(),
  sample: z.boolean(),
  threads: z.number(),
})

const [task, path] = process.argv.slice(2)
if (task === undefined) {
  if (!existsSync(MODEL)) throw new Error('this benchmark needs ../shared/models')
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-decode-'))
  try {
    await compare(join(folder, 'job.json'))
  } finally {
    rmSync(folder, { recursive: true })
  }
} else {
  const job = jobSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  process.send?.(task === 'measure' ? await measure(job) : await differences(job))
}
