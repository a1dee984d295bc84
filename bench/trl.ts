/**
 * @file Step-DPO on PRM800K against TRL's DPOTrainer, pairs a second: npm run bench:trl.
 *
 * Both sides get one file: the first nodes of phase 1 as our loader merges them (steps that people wrote count as
 * right), a PRM800K row each. So they train on the same nodes and pairs, in float32, with the same weights, LoRA and
 * max_length; both compute the reference log-probabilities as they train, nothing of them is cached. Two cases: one pair
 * a node, and all pairs. Each run is a process of its own, in turns, timed from the begin of the first update to the end
 * of the last one.
 *
 * TRL repeats prompt and prefix for both sides of each pair. Both sides have batches of 4 by default, nodes here and
 * pairs there; TRL is fastest with PEER_BATCH=1, as larger batches are padded. Where it would train on more than
 * PEER_PAIRS pairs it draws so many at random; its time for the rest is extrapolated. A further run of ours on more
 * nodes, after a warm-up update, is held against TRL's time for each token. Set NODES, PEER_NODES, PEER_PAIRS, BATCH (nodes), PEER_BATCH (pairs), ROUNDS, THREADS. SHAPE
 * (shapes.ts): the same with random weights of another shape.
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { encodeGroups } from '../src/batch/encode.ts'
import { packGroups, pairCount } from '../src/batch/pack.ts'
import type { Group } from '../src/data/records.ts'
import { loadGroups } from '../src/pair/groups.ts'
import { train } from '../src/recipe/train.ts'
import { systemWorld } from '../src/recipe/world.ts'
import { loadTokenizer } from '../src/text/tokenizer.ts'
import { inChild } from './child.ts'
import { median, peakGb, printTable, setting, showSpread } from './measure.ts'
import { findPeer, MODEL, type Peer, PRM800K } from './peer.ts'
import { writeBfloat16 } from './random-model.ts'
import { type ShapeName, shapeAsked, shapes } from './shapes.ts'

const NODES = setting('NODES', 64)
const PEER_NODES = setting('PEER_NODES', 8)
const PEER_PAIRS = setting('PEER_PAIRS', 24)
const BATCH = setting('BATCH', 4)
const PEER_BATCH = setting('PEER_BATCH', 4)
const ROUNDS = setting('ROUNDS', 2)
const THREADS = setting('THREADS', 2)
const MAX_LENGTH = 1024
const VOCABULARY = 49152

type Pairs = 'first' | 'all'
const NAMES: { readonly [P in Pairs]: string } = { first: 'one pair a node', all: 'all pairs' }

const jobSchema = z.object({
  model: z.string(),
  data: z.string(),
  pairs: z.enum(['first', 'all']),
  /** Updates before the clock starts. */
  warmup: z.number(),
  folder: z.string(),
})
type Job = z.output<typeof jobSchema>

const oursSchema = z.object({
  nodes: z.number(),
  pairs: z.number(),
  /** Computed by the policy in the timed updates. */
  tokens: z.number(),
  seconds: z.number(),
  peak: z.number(),
})
type Ours = z.output<typeof oursSchema>

/** One training run of ours, in a child. */
async function trainOurs({ model, data, pairs, warmup, folder }: Job): Promise<Ours> {
  const world = { ...systemWorld(), environment: { STEPDPO_CACHE: join(folder, 'cache') } }
  const settings = {
    base_model: model,
    dataset_path: data,
    output_dir: join(folder, 'run'),
    group_pairs: pairs,
    shuffle: false,
    max_length: MAX_LENGTH,
    per_device_train_batch_size: BATCH,
    learning_rate: 1e-5,
    beta: 0.1,
    save_strategy: 'no' as const,
    report_to: [],
    threads: THREADS,
  }
  const counts = { nodes: 0, pairs: 0 }
  let tokens = 0
  let started: number | undefined
  let ended = 0
  for await (const event of train(settings, world)) {
    if (event.type === 'data-loaded') Object.assign(counts, { nodes: event.groups, pairs: event.pairs })
    if (event.type !== 'update-end' || event.update <= warmup) continue
    ended = world.seconds()
    started ??= ended - event.seconds
    tokens += event.tokens
  }
  if (started === undefined) throw new Error(`no update came after ${warmup}`)
  return { ...counts, tokens, seconds: ended - started, peak: peakGb() }
}

/** A PRM800K row for each group, the steps before it without ratings. */
function writeGroups(path: string, groups: readonly Group[]): string {
  const rows = groups.map(({ problem, prefix, members }) => ({
    question: { problem },
    label: {
      steps: [
        ...prefix.map((text) => ({ completions: [{ text, rating: null }], chosen_completion: 0 })),
        {
          completions: members.flatMap(({ content: text, rating, count }) =>
            Array.from({ length: count }, () => ({ text, rating })),
          ),
          chosen_completion: null,
        },
      ],
      finish_reason: 'solution',
    },
  }))
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return path
}

/** Nodes of a case in a file, how many pairs they are, and how many tokens where each side of a pair has its own prefix. */
interface Nodes {
  readonly path: string
  readonly nodes: number
  readonly pairs: number
  readonly tokens: number
}

function countNodes(path: string, groups: readonly Group[], pairs: Pairs): Nodes {
  const options = {
    maxLength: MAX_LENGTH,
    maxPromptLength: MAX_LENGTH,
    maxRowTokens: 2 * MAX_LENGTH,
    pairs,
    vocabularySize: VOCABULARY,
  }
  const { groups: encoded } = encodeGroups(groups, loadTokenizer(MODEL, new Date()), options)
  const rows = packGroups(encoded, { packing: 'none', maxRowTokens: 2 * MAX_LENGTH })
  // A pair that stands for several is one row here, but as many of TRL's.
  const tokens = rows.reduce((sum, row) => sum + row.row.ids.length * pairCount([row]), 0)
  return { path, nodes: encoded.length, pairs: pairCount(encoded), tokens }
}

const peerSchema = z.object({
  rows: z.number(),
  steps: z.number(),
  train_begin_to_end: z.number().positive(),
  rss_gb: z.number(),
})

interface Theirs {
  readonly pairs: number
  /** Of the pairs, how many were trained on. */
  readonly trained: number
  readonly secondsPerPair: number
  readonly peak: number
}

async function trainPeer(peer: Peer, model: string, data: Nodes, pairs: Pairs): Promise<Theirs> {
  const steps = Math.ceil(Math.min(data.pairs, PEER_PAIRS) / PEER_BATCH)
  const args = {
    model,
    data: data.path,
    nodes: data.nodes,
    bs: PEER_BATCH,
    steps,
    max_length: MAX_LENGTH,
    threads: THREADS,
  }
  const flags = Object.entries(args).flatMap(([name, value]) => [`--${name}`, String(value)])
  const printed = await peer.run('trl_dpo.py', [...flags, ...(pairs === 'all' ? ['--all_pairs'] : [])])
  const {
    rows,
    train_begin_to_end: seconds,
    rss_gb,
  } = peerSchema.parse(JSON.parse(printed.trim().split('\n').at(-1) ?? ''))
  const trained = Math.min(rows, steps * PEER_BATCH)
  return { pairs: rows, trained, secondsPerPair: seconds / trained, peak: rss_gb }
}

/** Runs of both sides on the same nodes, and of ours on more. */
interface Rounds {
  readonly same: Ours[]
  readonly more: Ours[]
  readonly theirs: Theirs[]
}

/** What is compared of a case. */
interface Case {
  readonly pairs: Pairs
  readonly same: Nodes
  readonly more: Nodes
  /** The nodes of `more` after a batch of others to warm up with. */
  readonly warmed: string
}

function makeCase(pairs: Pairs, groups: readonly Group[], folder: string): Case {
  const more = groups.slice(0, NODES)
  const problems = new Set(more.map(({ problem }) => problem))
  const others = groups.filter(({ problem }) => !problems.has(problem)).slice(-BATCH)
  const nodesOf = (name: string, own: readonly Group[]): Nodes =>
    countNodes(writeGroups(join(folder, `${pairs}-${name}.jsonl`), own), own, pairs)
  return {
    pairs,
    same: nodesOf('same', groups.slice(0, PEER_NODES)),
    more: nodesOf('more', more),
    warmed: writeGroups(join(folder, `${pairs}-warmed.jsonl`), [...others, ...more]),
  }
}

async function ours(job: Omit<Job, 'folder'>): Promise<Ours> {
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-bench-'))
  try {
    return await inChild(import.meta.filename, [JSON.stringify({ ...job, folder })], oursSchema)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runRounds({ pairs, same, warmed }: Case, peer: Peer | undefined, model: string): Promise<Rounds> {
  const rounds: Rounds = { same: [], more: [], theirs: [] }
  for (let round = 0; round < ROUNDS; round++) {
    rounds.same.push(await ours({ model, pairs, data: same.path, warmup: 0 }))
    if (peer !== undefined) rounds.theirs.push(await trainPeer(peer, model, same, pairs))
    rounds.more.push(await ours({ model, pairs, data: warmed, warmup: 1 }))
  }
  return rounds
}

/** One line of the table: our runs on some nodes, with TRL's time for each of their pairs. */
function showRuns(name: string, data: Nodes, runs: readonly Ours[], theirs: readonly Theirs[]): string[] {
  const ratios = theirs.map(({ secondsPerPair }, round) => (secondsPerPair * data.pairs) / runs[round].seconds)
  const rates = theirs.map(({ secondsPerPair }) => 1 / secondsPerPair)
  return [
    name,
    String(data.nodes),
    String(data.pairs),
    median(runs.map(({ seconds }) => data.pairs / seconds)).toFixed(2),
    rates.length === 0 ? '' : median(rates).toFixed(3),
    ratios.length === 0 ? '' : showSpread(ratios, 1),
    (runs[0].tokens / data.pairs).toFixed(0),
    (data.tokens / data.pairs).toFixed(0),
    Math.max(...runs.map(({ peak }) => peak)).toFixed(1),
    theirs.length === 0 ? '' : Math.max(...theirs.map(({ peak }) => peak)).toFixed(1),
  ]
}

/** The same pace on nodes of another length: TRL's time grows at least with the tokens. */
function extrapolate({ same, more }: Case, theirs: readonly Theirs[]): Theirs[] {
  const longer = more.tokens / more.pairs / (same.tokens / same.pairs)
  return theirs.map((run) => ({ ...run, secondsPerPair: run.secondsPerPair * longer }))
}

/** What each side was given, so that a difference is seen that the ratio would not show. */
function describeData({ pairs, same, more }: Case, rounds: Rounds): string {
  const [own] = rounds.same
  const [theirs] = rounds.theirs
  const parts = [`ours ${own.pairs} pairs of ${own.nodes} nodes`]
  if (theirs !== undefined) parts.push(`TRL ${theirs.pairs} pairs of the same nodes, timed on ${theirs.trained}`)
  if ([own, theirs].some((side) => side !== undefined && side.pairs !== same.pairs)) parts.push('NOT THE SAME PAIRS')
  if (rounds.more[0].nodes !== more.nodes + BATCH) parts.push('NOT ONE UPDATE OF WARM-UP')
  return `${NAMES[pairs]}: ${parts.join('; ')}`
}

const HEAD = [
  ...['case', 'nodes', 'pairs', 'pairs/s ours', 'pairs/s TRL', 'ratio median (min–max)'],
  ...['tok/pair computed', 'tok/pair in TRL', 'peak GB ours', 'peak GB TRL'],
]

/** Random weights of a shape, with the tokenizer of SmolLM2 and room for its vocabulary. */
function writeShape(folder: string, name: ShapeName): string {
  const shape = shapes[name]
  writeBfloat16(folder, { ...shape, vocab_size: Math.max(shape.vocab_size, VOCABULARY) })
  for (const file of ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja']) {
    rmSync(join(folder, file), { force: true }) // the copy of a file that may not be written would be one, too
    copyFileSync(join(MODEL, file), join(folder, file))
  }
  return folder
}

async function compare(): Promise<void> {
  const { name } = shapeAsked()
  if (!existsSync(MODEL) || !existsSync(PRM800K)) {
    console.log('nothing is timed: there is no ../shared with SmolLM2-135M-Instruct and PRM800K')
    return
  }
  const peer = await findPeer(['torch', 'transformers', 'trl', 'peft', 'datasets', 'gguf'])
  const { groups } = await loadGroups(PRM800K, { neutral: 'drop', separator: '\n', strict: false })
  console.log(
    `${name}, LoRA r16 on all linears, PRM800K phase 1, max_length ${MAX_LENGTH}, float32, ${THREADS} threads, ` +
      `${ROUNDS} rounds\n` +
      `an update: ours ${BATCH} nodes with their pairs, TRL ${PEER_BATCH} ${PEER_BATCH === 1 ? 'pair' : 'pairs'}; both sides compute the reference ` +
      'log-probabilities in it\n' +
      `goals: ratio ≥ 12 with one pair a node, ≥ 60 with all pairs`,
  )
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-bench-'))
  const rows: string[][] = []
  try {
    const model = name === 'SmolLM2-135M' ? (peer?.model ?? MODEL) : writeShape(join(folder, 'model'), name)
    for (const pairs of ['first', 'all'] as const) {
      const compared = makeCase(pairs, groups, folder)
      const rounds = await runRounds(compared, peer, model)
      console.log(describeData(compared, rounds))
      rows.push(showRuns(`${NAMES[pairs]}, same nodes`, compared.same, rounds.same, rounds.theirs))
      const paces = extrapolate(compared, rounds.theirs)
      rows.push(showRuns(`${NAMES[pairs]}, ours warm, TRL extrapolated by tokens`, compared.more, rounds.more, paces))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  printTable(HEAD, rows)
}

const [job] = process.argv.slice(2)
if (job === undefined) await compare()
else process.send?.(await trainOurs(jobSchema.parse(JSON.parse(job))))
