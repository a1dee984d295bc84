/**
 * @file `npm run demo`: the whole loop, offline, on a small model of ours. Problems are written, the model is measured,
 * sampled, judged, trained and measured again, and three problems are shown before and after.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { writeDurably } from '../src/base/files.ts'
import { parseSettings } from '../src/cli/parse-settings.ts'
import { readConfig } from '../src/cli/read-config.ts'
import { runAndShow } from '../src/cli/run-command.ts'
import { rolloutSchema } from '../src/data/rollout.ts'
import { policyName } from '../src/recipe/policy.ts'
import { runSchema, type Trained } from '../src/recipe/run-settings.ts'
import { makeProblem, type Use } from './problems.ts'

const FOLDER = 'build/demo'
const SHOWN = 3

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '0' },
    problems: { type: 'string', default: '600' },
    test: { type: 'string', default: '500' },
  },
})
const seed = Number(values.seed)

function writeProblems(name: string, use: Use, count: number): void {
  const rows = Array.from({ length: count }, (_, index) => {
    const { question, answer } = makeProblem(seed, use, index)
    return `${JSON.stringify({ prompt: question, answer: String(answer) })}\n`
  })
  writeDurably(`${FOLDER}/${name}.jsonl`, rows.join(''))
}

/** The steps of greedy solutions, by problem. */
function solutionsOf(policy: Trained): Map<string, readonly string[]> {
  const path = `${FOLDER}/run/evaluation/${policyName(policy)}/greedy.jsonl`
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  return new Map(
    lines.map((line) => rolloutSchema.parse(JSON.parse(line))).map(({ problem, steps }) => [problem, steps]),
  )
}

rmSync(FOLDER, { recursive: true, force: true })
mkdirSync(FOLDER, { recursive: true })
writeProblems('problems', 'pairs', Number(values.problems))
writeProblems('test', 'test', Number(values.test))
console.log(`demo     ${values.problems} word problems to learn from, ${values.test} others to measure on: ${FOLDER}`)
const started = performance.now()
const settings = parseSettings(runSchema, [`--seed=${seed}`], readConfig('demo/demo.yaml'))
const result = await runAndShow(settings)
if (result?.evaluation) {
  const { comparison } = result.evaluation.report
  const before = solutionsOf({ base_model: settings.base_model })
  const after = solutionsOf(result.policy)
  for (const problem of comparison?.answers?.gained.slice(0, SHOWN) ?? []) {
    console.log(`\n${problem}`)
    const [left, right] = [before.get(problem) ?? [], after.get(problem) ?? []]
    const width = Math.max(...left.map((line) => line.length), 'before'.length)
    for (let at = 0; at < Math.max(left.length, right.length); at++) {
      const mark = left[at] === right[at] ? ' ' : '→'
      console.log(`  ${(left[at] ?? '').padEnd(width)} ${mark} ${right[at] ?? ''}`)
    }
  }
  const seconds = Math.round((performance.now() - started) / 1000)
  console.log(
    `\nfinished in ${seconds} s. The tuned model: ${settings.output_dir}; the report, with every problem that`,
  )
  console.log(
    `was gained or lost: ${settings.output_dir}/evaluation/report.md; pairs: ${settings.output_dir}/round-1/pairs.jsonl`,
  )
}
