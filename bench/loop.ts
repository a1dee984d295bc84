/**
 * @file Whether the loop helps, over seeds: Step-DPO with all weights and with LoRA, naive DPO from the same rollouts at
 * equal updates, and a control whose pairs are shuffled. npm run bench:loop [-- --seeds 5 --problems 600 --test 500]
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { makeProblem, type Use } from '../demo/problems.ts'
import { writeDurably } from '../src/base/files.ts'
import { permutation, random } from '../src/base/random.ts'
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

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    first: { type: 'string', default: '0' },
    problems: { type: 'string', default: '600' },
    test: { type: 'string', default: '500' },
  },
})
const ROOT = 'build/bench-loop'
const LORA = ['--use_lora=true', '--learning_rate=2e-4', '--lora_r=16', '--lora_alpha=32']
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

function readPairs(path: string): Pair[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  return lines.map((line) => pairSchema.parse(JSON.parse(line)))
}

/** The sides of exactly half of the pairs are swapped, at random: nothing is left to learn from them. */
function shufflePairs(from: string, to: string, seed: number): void {
  const pairs = readPairs(from)
  const order = permutation(pairs.length, random(seed, 'shuffled control'))
  const rows = pairs.map((pair, at) => {
    if (order[at] < pairs.length / 2) return pair
    const { chosen, rejected, chosen_terminal, rejected_terminal } = pair
    const swapped = { chosen: rejected, rejected: chosen, chosen_terminal: rejected_terminal }
    return { ...pair, ...swapped, rejected_terminal: chosen_terminal }
  })
  writeDurably(to, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
}

interface Outcome {
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

async function runSeed(seed: number): Promise<Outcome[]> {
  const root = join(ROOT, String(seed))
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true })
  const [problems, test] = [join(root, 'problems.jsonl'), join(root, 'test.jsonl')]
  writeProblems(problems, 'pairs', seed, Number(values.problems))
  writeProblems(test, 'test', seed, Number(values.test))
  const flags = [`--seed=${seed}`, `--dataset_path=${problems}`, `--eval_dataset_path=${test}`, `--output_dir=${root}`]
  const settingsOf = (...more: string[]): RunSettings =>
    parseSettings(runSchema, [...flags, ...more], readConfig('demo/demo.yaml'))
  const settings = settingsOf()
  const base: Trained = { base_model: settings.base_model }
  await drain(generateFile(generateSettingsOf(settings, base, root), world))
  const rollouts = join(root, 'rollouts.jsonl')
  const pairsOf = async (name: string, ...more: string[]): Promise<string> => {
    await drain(makePairs(pairsSettingsOf(settingsOf(...more), base, join(root, name), rollouts), world))
    return join(root, name, 'pairs.jsonl')
  }
  const steps = await pairsOf('step-pairs')
  const solutions = await pairsOf('solution-pairs', '--strategy=dpo')
  const shuffled = join(root, 'shuffled.jsonl')
  shufflePairs(steps, shuffled, seed)
  const { num_train_epochs: epochs, per_device_train_batch_size: batch } = settings
  const updates = Math.ceil(readPairs(steps).length / batch) * epochs
  const variants = [
    { name: 'Step-DPO, all weights', pairs: steps, flags: [] },
    { name: 'Step-DPO, LoRA', pairs: steps, flags: LORA },
    { name: 'naive DPO, all weights', pairs: solutions, flags: [] },
    { name: 'shuffled control, all weights', pairs: shuffled, flags: [] },
  ]
  const outcomes: Outcome[] = []
  for (const { name, pairs, flags: more } of variants) {
    const own = settingsOf(...more, `--max_steps=${updates}`)
    const output = join(root, name.replaceAll(/[^a-z]+/gi, '-').toLowerCase())
    await drain(
      train(trainSettingsOf(own, base, output, { pairs, training: { save_strategy: 'no', report_to: [] } }), world),
    )
    const policy = own.use_lora ? { ...base, adapter: output } : { base_model: output }
    outcomes.push(await measure(own, policy, { name, pairs: readPairs(pairs).length, seed }))
  }
  return outcomes
}

const all: Outcome[] = []
const first = Number(values.first)
for (let seed = first; seed < first + Number(values.seeds); seed++) all.push(...(await runSeed(seed)))
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
