/**
 * @file A process reward model of PRM800K on ProcessBench: npm run bench:prm.
 *
 * Trains SmolLM2-135M on phase 1 of PRM800K for UPDATES (54) updates of BATCH (512) rated steps into build/prm, fits the
 * threshold on solutions of PRM800K's own held-out problems, and judges LIMIT (1,000) solutions of gsm8k (400 in all) and of math. What
 * the folder holds is not made again: the same command goes on with it. About an hour on two cores.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { permutation, random } from '../src/base/random.ts'
import type { Group } from '../src/data/records.ts'
import { loadGroups } from '../src/pair/groups.ts'
import { evalJudge, type JudgeEvaluation } from '../src/recipe/eval-judge.ts'
import { evalJudgeSchema } from '../src/recipe/judge-settings.ts'
import { train } from '../src/recipe/train.ts'
import { systemWorld } from '../src/recipe/world.ts'
import { printTable, setting } from './measure.ts'
import { MODEL, PRM800K, ROOT } from './peer.ts'

const FOLDER = process.env['FOLDER'] ?? join(ROOT, 'build', 'prm')
const LIMIT = setting('LIMIT', 1000)
const SEPARATOR = '\n\n'
const DATA = join(ROOT, '..', 'shared', 'data')
const HELD_OUT = join(DATA, 'prm800k', 'phase1_test.jsonl')

async function learn(): Promise<void> {
  if (existsSync(join(FOLDER, 'adapter_model.safetensors'))) return
  const isBegun = existsSync(FOLDER)
  const events = train({
    objective: 'prm',
    base_model: MODEL,
    dataset_path: PRM800K,
    output_dir: FOLDER,
    step_separator: SEPARATOR,
    neutral: 'positive',
    max_steps: setting('UPDATES', 54),
    per_device_train_batch_size: setting('BATCH', 512),
    learning_rate: 1e-4,
    warmup_steps: 4,
    eval_dataset_path: HELD_OUT,
    eval_strategy: 'steps',
    eval_steps: 1000,
    max_eval_groups: 0,
    save_steps: 5,
    report_to: ['none'],
    resume_from_checkpoint: isBegun,
  })
  for await (const event of events) {
    if (event.type === 'update-end' && event.update % 5 === 0) {
      console.log(`update ${event.update} loss ${event.metrics['loss'].toFixed(4)} ${event.seconds.toFixed(0)} s`)
    }
    if (event.type !== 'evaluation-end') continue
    for (const [name, value] of Object.entries(event.metrics)) console.log(`${name} ${value.toFixed(4)}`)
  }
}

/** Of each held-out problem a solution that goes wrong at its last step, and a whole one that is right, as ProcessBench rows. */
async function writeHeldOut(path: string): Promise<void> {
  const options = { neutral: 'positive', separator: SEPARATOR, strict: false, wanted: 'members' } as const
  const { groups } = await loadGroups(HELD_OUT, options)
  const draw = random(0, 'held-out solutions')
  const problems = new Map<string, Group[]>()
  for (const group of groups) problems.set(group.problem, [...(problems.get(group.problem) ?? []), group])
  const rows: object[] = []
  for (const [problem, own] of problems) {
    const ends = own.flatMap(({ prefix, members }) =>
      members.map(({ content, rating, terminal }) => ({ steps: [...prefix, content], rating, terminal })),
    )
    const wrong = ends.filter(({ rating }) => rating < 0)
    const right = ends.filter(({ rating, terminal }) => rating > 0 && terminal)
    for (const kind of [wrong, right]) {
      if (kind.length === 0) continue
      const { steps, rating } = kind[draw.below(kind.length)]
      rows.push({ problem, steps, label: rating < 0 ? steps.length - 1 : -1 })
    }
  }
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
}

/** LIMIT rows of a set of ProcessBench at random, for its rows with an error come first. */
function writeSample(name: string): string {
  const rows: unknown[] = JSON.parse(readFileSync(join(DATA, 'processbench', `${name}.json`), 'utf8'))
  const order = permutation(rows.length, random(0, 'processbench'))
  const path = join(FOLDER, 'judged', `${name}.json`)
  writeFileSync(path, JSON.stringify(Array.from(order.slice(0, LIMIT), (at) => rows[at])))
  return path
}

/** Judges what was not judged yet. */
async function judge(data: string, name: string, threshold?: number): Promise<JudgeEvaluation> {
  const settings = { dataset_path: data, output_dir: join(FOLDER, 'judged', name), reward_model: [`local:${FOLDER}`] }
  const steps = evalJudge(evalJudgeSchema.parse({ ...settings, threshold }), systemWorld())
  for (;;) {
    const step = await steps.next()
    if (!step.done) continue
    if (step.value === undefined) throw new Error(`${data} was not judged to the end`)
    return step.value
  }
}

function percent(value: number | null): string {
  return value === null ? '–' : (100 * value).toFixed(1)
}

function fittedOn({ report, data }: JudgeEvaluation): number {
  if (report.fitted === null) throw new Error(`no threshold can be fitted on ${data}`)
  console.log(`threshold of ${data}: ${report.fitted.threshold.toFixed(4)}, F1 ${percent(report.fitted.f1)} there`)
  return report.fitted.threshold
}

function rowOf(what: string, { report: { firstErrors } }: JudgeEvaluation): string[] {
  if (firstErrors === null) throw new Error('no row says where its first error is')
  const { erroneousAccuracy, correctAccuracy, f1 } = firstErrors
  const shown = [erroneousAccuracy, correctAccuracy, f1].map(
    ({ value, low, high }) => `${percent(value)} [${percent(low)}, ${percent(high)}]`,
  )
  return [what, ...shown]
}

await learn()
mkdirSync(join(FOLDER, 'judged'), { recursive: true })
const heldOut = join(FOLDER, 'judged', 'heldout.jsonl')
await writeHeldOut(heldOut)
const own = fittedOn(await judge(heldOut, 'heldout'))
const [gsm8k, math] = ['gsm8k', 'math'].map(writeSample)
const protocol = fittedOn(await judge(gsm8k, 'gsm8k', own))
for (const [data, name] of Object.entries({ [gsm8k]: 'gsm8k', [math]: 'math' })) {
  const rows = [rowOf('threshold of PRM800K', await judge(data, name, own))]
  if (name !== 'gsm8k') rows.push(rowOf('threshold of gsm8k', await judge(data, name, protocol)))
  const half = await judge(data, name, 0.5)
  rows.push(rowOf('threshold 0.5', half))
  for (const { name: baseline, erroneousAccuracy, correctAccuracy, f1 } of half.report.baselines) {
    rows.push([baseline, percent(erroneousAccuracy), percent(correctAccuracy), percent(f1)])
  }
  console.log(`\nProcessBench ${name}, ${half.report.firstErrors?.rows} solutions, in percent`)
  printTable(['', 'with an error', 'without', 'F1'], rows)
}
