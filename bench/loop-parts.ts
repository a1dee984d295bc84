/** @file What the benchmarks of the loop share: problems, pairs, training, measuring, and the table over seeds. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeProblem, type Use } from '../demo/problems.ts'
import { writeDurably } from '../src/base/files.ts'
import { parseSettings } from '../src/cli/parse-settings.ts'
import { readConfig } from '../src/cli/read-config.ts'
import { type Pair, pairSchema } from '../src/data/pair-row.ts'
import { evaluate } from '../src/recipe/eval.ts'
import { generateFile } from '../src/recipe/generate-file.ts'
import { makePairs } from '../src/recipe/pairs.ts'
import {
  evalSettingsOf,
  generateSettingsOf,
  pairsSettingsOf,
  type RunSettings,
  runSchema,
  type Trained,
  trainSettingsOf,
} from '../src/recipe/run-settings.ts'
import { train } from '../src/recipe/train.ts'
import { systemWorld } from '../src/recipe/world.ts'

const world = systemWorld()

async function drain<T>(events: AsyncGenerator<unknown, T>): Promise<T> {
  for (;;) {
    const next = await events.next()
    if (next.done) return next.value
  }
}

function writeProblems(path: string, use: Use, seed: number, count: number): void {
  const rows = Array.from({ length: count }, (_, index) => {
    const { question, answer } = makeProblem(seed, use, index)
    return `${JSON.stringify({ prompt: question, answer: String(answer) })}\n`
  })
  writeDurably(path, rows.join(''))
}

export function readPairs(path: string): Pair[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  return lines.map((line) => pairSchema.parse(JSON.parse(line)))
}

export interface Outcome {
  readonly name: string
  readonly seed: number
  readonly pairs: number
  readonly before: number
  readonly after: number
  readonly gained: number
  readonly lost: number
  readonly p: number
}

async function measure(
  settings: RunSettings,
  policy: Trained,
  { name, pairs, seed }: Pick<Outcome, 'name' | 'pairs' | 'seed'>,
): Promise<Outcome> {
  const folder = join(settings.output_dir, 'evaluation')
  const evaluation = await drain(
    evaluate(evalSettingsOf(settings, policy, folder, settings.eval_dataset_path ?? ''), world),
  )
  const answers = evaluation?.report.comparison?.answers
  if (answers == null) throw new Error(`${name}: nothing to compare`)
  const { gained, lost, bothRight, bothWrong, p } = answers
  const problems = gained.length + lost.length + bothRight + bothWrong
  const share = (right: number): number => (100 * right) / problems
  const outcome = {
    name,
    seed,
    pairs,
    before: share(bothRight + lost.length),
    after: share(bothRight + gained.length),
    gained: gained.length,
    lost: lost.length,
    p,
  }
  console.log(JSON.stringify(outcome))
  return outcome
}

/** A seed with its rollouts, from which pairs of any strategy are made. */
export interface Seed {
  readonly seed: number
  readonly root: string
  settingsOf(...flags: string[]): RunSettings
  /** Makes pairs, and says where they are. */
  pairsOf(name: string, ...flags: string[]): Promise<string>
}

/** Problems and rollouts of a seed, in a folder of its own. */
export async function prepareSeed(
  root: string,
  seed: number,
  counts: { readonly problems: number; readonly test: number },
): Promise<Seed> {
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true })
  const [problems, test] = [join(root, 'problems.jsonl'), join(root, 'test.jsonl')]
  writeProblems(problems, 'pairs', seed, counts.problems)
  writeProblems(test, 'test', seed, counts.test)
  const flags = [`--seed=${seed}`, `--dataset_path=${problems}`, `--eval_dataset_path=${test}`, `--output_dir=${root}`]
  const settingsOf = (...more: string[]): RunSettings =>
    parseSettings(runSchema, [...flags, ...more], readConfig('demo/demo.yaml'))
  const base: Trained = { base_model: settingsOf().base_model }
  await drain(generateFile(generateSettingsOf(settingsOf(), base, root), world))
  const rollouts = join(root, 'rollouts.jsonl')
  return {
    seed,
    root,
    settingsOf,
    pairsOf: async (name, ...more) => {
      await drain(makePairs(pairsSettingsOf(settingsOf(...more), base, join(root, name), rollouts), world))
      return join(root, name, 'pairs.jsonl')
    },
  }
}

/** The updates that an epoch count of the settings makes of a file of pairs. */
export function updatesOf(
  { num_train_epochs: epochs, per_device_train_batch_size: batch }: RunSettings,
  pairs: string,
): number {
  return Math.ceil(readPairs(pairs).length / batch) * epochs
}

export interface Variant {
  readonly name: string
  readonly pairs: string
  readonly flags: readonly string[]
}

/** Trains each variant for as many updates, and measures it on the seed's test problems. */
export async function runVariants(own: Seed, variants: readonly Variant[], updates: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const { name, pairs, flags } of variants) {
    const settings = own.settingsOf(...flags, `--max_steps=${updates}`)
    const base: Trained = { base_model: settings.base_model }
    const output = join(own.root, name.replaceAll(/[^a-z]+/gi, '-').toLowerCase())
    await drain(
      train(
        trainSettingsOf(settings, base, output, { pairs, training: { save_strategy: 'no', report_to: [] } }),
        world,
      ),
    )
    const policy = settings.use_lora ? { ...base, adapter: output } : { base_model: output }
    outcomes.push(await measure(settings, policy, { name, pairs: readPairs(pairs).length, seed: own.seed }))
  }
  return outcomes
}

/** Prints one line a variant, over its seeds. */
export function printTable(all: readonly Outcome[]): void {
  console.log(
    '\n| variant | seeds | before | after | mean gain | least and most | largest p |\n|---|---|---|---|---|---|---|',
  )
  for (const name of new Set(all.map((outcome) => outcome.name))) {
    const own = all.filter((outcome) => outcome.name === name)
    const mean = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0) / numbers.length
    const gains = own.map(({ before, after }) => after - before)
    const cells = [
      name,
      own.length,
      mean(own.map(({ before }) => before)).toFixed(1),
      mean(own.map(({ after }) => after)).toFixed(1),
      `${mean(gains).toFixed(1)}`,
      `${Math.min(...gains).toFixed(1)} … ${Math.max(...gains).toFixed(1)}`,
      Math.max(...own.map(({ p }) => p)).toExponential(1),
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}
