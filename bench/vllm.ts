/**
 * @file Served models against our own engine: npm run check:vllm.
 *
 * SERVED=vllm:NAME@http://a:8000/v1,http://b:8000/v1 names the servers, BASE_MODEL the folder that they serve, in float32.
 * ADAPTER names a PEFT folder that they serve on it (`--lora-modules`). Both answer some questions of GSM8K greedily, from the
 * start and after a begun answer; completions and log-probabilities are compared. Then they are sampled, all at once.
 * Ends with code 1 where a completion differs, or a log-probability by more than 1e-3. Set QUESTIONS, TOKENS (of a
 * completion), SAMPLES.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { printTable, setting } from './measure.ts'

const MOST = 1e-3
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const rolloutSchema = z.object({ problem: z.string(), completion: z.string(), logps: z.array(z.number()) })

function named(name: string): string {
  const value = process.env[name]
  if (value) return value
  console.error(`${name} is not set: see the head of bench/vllm.ts`)
  process.exit(1)
}

const [served, model] = [named('SERVED'), named('BASE_MODEL')]
const adapter = process.env['ADAPTER']
const questions = setting('QUESTIONS', 8)
const folder = mkdtempSync(join(tmpdir(), 'stepdpo-vllm-'))

function generate(source: readonly string[], more: readonly string[]): z.output<typeof rolloutSchema>[] {
  const output = mkdtempSync(join(folder, 'rollouts-'))
  const data = join(ROOT, '../shared/data/gsm8k/test.jsonl')
  const own = ['--dataset_path', data, '--limit', questions, '--max_new_tokens', setting('TOKENS', 64), '--logprobs']
  const args = [join(ROOT, 'bin/stepdpo.js'), 'generate', ...source, ...own, ...more, '--output_dir', output]
  execFileSync(process.execPath, args.map(String), { stdio: ['ignore', 'ignore', 'inherit'] })
  const lines = readFileSync(join(output, 'rollouts.jsonl'), 'utf8').trim().split('\n')
  return lines.map((line) => rolloutSchema.parse(JSON.parse(line)))
}

function compare(more: readonly string[]) {
  const ours = generate(
    ['--base_model', model, ...(adapter === undefined ? [] : ['--adapter', adapter]), '--decode_dtype', 'float32'],
    more,
  )
  const theirs = new Map(generate(['--base_model', served], more).map((rollout) => [rollout.problem, rollout]))
  let [equal, apart] = [0, 0]
  for (const { problem, completion, logps } of ours) {
    const other = theirs.get(problem)
    if (other?.completion !== completion) continue
    equal++
    for (const [at, logp] of logps.entries()) apart = Math.max(apart, Math.abs(logp - other.logps[at]))
  }
  return { equal, apart, count: ours.length }
}

try {
  const greedy = ['--temperature', '0']
  const begun = [...greedy, '--answer_start', "Let's think step by step. First,"]
  const cases = { 'greedy, in a chat': compare(greedy), 'greedy, after a begun answer': compare(begun) }
  printTable(
    ['', 'equal completions', 'largest difference of log-probabilities'],
    Object.entries(cases).map(([name, { equal, count, apart }]) => [
      name,
      `${equal} of ${count}`,
      apart.toExponential(1),
    ]),
  )
  const sampled = generate(
    ['--base_model', served],
    ['--num_samples', String(setting('SAMPLES', 4)), '--concurrency', '16'],
  )
  console.log(`${sampled.length} sampled, ${new Set(sampled.map(({ completion }) => completion)).size} different`)
  if (Object.values(cases).some(({ equal, count, apart }) => equal < count || apart > MOST)) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true })
}
