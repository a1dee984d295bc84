/** @file A training run as files that our Python package reads: token ids as they are, in the order of our updates. */
import { mkdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { writeDurably } from '../base/files.ts'
import type { EncodedGroup, MemberDetails } from '../batch/encode.ts'
import { epochOrder, type OrderOptions, updatesPerEpoch } from '../batch/order.ts'
import type { Ids } from '../batch/pieces.ts'
import { saveAdapter } from '../model/adapter-file.ts'
import type { Adapter } from '../model/lora.ts'
import type { LoopOptions } from '../train/loop.ts'

const VERSION = 1

/** What a job is made of. */
export interface TorchJob {
  readonly baseModel: string
  /** A checkpoint to go on from. */
  readonly resume: string | undefined
  /** What learning begins with. */
  readonly adapter: Adapter
  readonly train: readonly EncodedGroup[]
  readonly heldOut: readonly EncodedGroup[]
  readonly updatesPerEpoch: number
  readonly loop: LoopOptions
  readonly losses: readonly { readonly type: string; readonly weight: number }[]
  readonly beta: number
  readonly labelSmoothing: number
  readonly discopopTau: number
  readonly precision: 'float32' | 'bfloat16'
  readonly gradientCheckpointing: boolean
  readonly seed: number
}

/** Where the parts of a job lie. */
export interface JobFolder {
  readonly path: string
  /** What Python tells, a line for each event. No other process that may be left of a killed run writes there. */
  readonly events: string
  /** Where this file appears, Python saves and ends. */
  readonly stop: string
  /** With `-UPDATE` behind it, the file that lets Python go on when the checkpoint after that update is taken over. */
  readonly taken: string
  /** Where Python leaves its checkpoints, until they are taken over. */
  readonly saved: string
  /** The adapter of a job that came to its end. */
  readonly trained: string
}

function memberOf(ids: Ids, details: MemberDetails | undefined) {
  return {
    ids,
    terminal: details?.isTerminal ?? false,
    ...(details?.weights !== undefined && { weights: details.weights }),
  }
}

/** A group as a line: what is read, what is scored, and which two members are a pair, with the pair's weight. */
function groupLine({ problem, prefix, members, pairs, details }: EncodedGroup): string {
  return JSON.stringify({
    problem,
    prompt: prefix.flat(),
    members: members.map((ids, at) => memberOf(ids, details?.[at])),
    pairs: pairs.map(({ chosen, rejected, weight }) => [chosen, rejected, weight]),
  })
}

function* lines(groups: readonly EncodedGroup[]): Generator<string> {
  for (const group of groups) yield `${groupLine(group)}\n`
}

/** The groups of each update, so that any number of processes sees the same in the same update. */
function* orderLines(groups: readonly EncodedGroup[], updates: number, order: OrderOptions): Generator<string> {
  const size = order.batchSize * order.accumulation
  const perEpoch = updatesPerEpoch(groups.length, order)
  // An epoch at a time: `updateBatches` would shuffle anew for each update.
  for (let first = 0; first < updates; first += perEpoch) {
    const epoch = epochOrder(groups, first / perEpoch, order)
    for (let at = 0; at < Math.min(perEpoch, updates - first); at++) {
      yield `${JSON.stringify(epoch.slice(at * size, (at + 1) * size))}\n`
    }
  }
}

/** After how many updates something is due again; 0: never. */
function interval({ strategy, steps }: LoopOptions['saving'], updatesPerEpoch: number): number {
  return { no: 0, steps, epoch: updatesPerEpoch }[strategy]
}

/** job.json: settings under the names of transformers' TrainingArguments where it has them. */
function jobFields(job: TorchJob, folder: JobFolder) {
  const { loop, updatesPerEpoch, heldOut } = job
  const { adam, schedule, order, updates } = loop
  return {
    version: VERSION,
    base_model: resolve(job.baseModel),
    output_dir: folder.saved,
    resume: job.resume === undefined ? null : resolve(job.resume),
    events: folder.events,
    stop: folder.stop,
    taken: folder.taken,
    launcher: { pid: process.pid, host: hostname() },
    updates,
    losses: job.losses,
    beta: job.beta,
    label_smoothing: job.labelSmoothing,
    discopop_tau: job.discopopTau,
    precision: job.precision,
    evaluation: {
      every: heldOut.length === 0 ? 0 : interval(loop.evaluation, updatesPerEpoch),
      first: loop.evaluatesFirst && heldOut.length > 0,
      batch: order.batchSize,
    },
    saving: { every: interval(loop.saving, updatesPerEpoch) },
    training: {
      max_steps: updates,
      gradient_accumulation_steps: order.accumulation,
      learning_rate: schedule.rate,
      lr_scheduler_type: schedule.type,
      warmup_steps: schedule.warmupUpdates,
      weight_decay: adam.weightDecay,
      adam_beta1: adam.beta1,
      adam_beta2: adam.beta2,
      adam_epsilon: adam.epsilon,
      max_grad_norm: adam.maxGradNorm,
      gradient_checkpointing: job.gradientCheckpointing,
      seed: job.seed,
    },
  }
}

/** Writes a job into a folder of its own, in place of one that stood there. job.json comes last. */
export function writeTorchJob(path: string, job: TorchJob): JobFolder {
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { recursive: true })
  const own = (name: string): string => join(resolve(path), name)
  const folder = {
    path: resolve(path),
    events: own(`events-${process.pid}.jsonl`),
    stop: own('stop'),
    taken: own('taken'),
    saved: own('saved'),
    trained: own('trained'),
  }
  writeDurably(folder.events, '')
  writeDurably(own('groups.jsonl'), encode(lines(job.train)))
  writeDurably(own('held-out.jsonl'), encode(lines(job.heldOut)))
  writeDurably(own('order.jsonl'), encode(orderLines(job.train, job.loop.updates, job.loop.order)))
  mkdirSync(own('adapter'))
  saveAdapter(own('adapter'), job.adapter, resolve(job.baseModel))
  writeDurably(own('job.json'), `${JSON.stringify(jobFields(job, folder), null, 2)}\n`)
  return folder
}

/** Lines in parts that are worth a write each. */
function* encode(parts: Iterable<string>): Generator<string> {
  let text = ''
  for (const part of parts) {
    text += part
    if (text.length < 1 << 16) continue
    yield text
    text = ''
  }
  yield text
}
