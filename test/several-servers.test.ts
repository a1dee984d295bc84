/** Several servers of one model, as users name them on the command line: real processes, real servers. */
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { folderMaker } from './folders.ts'
import { labelSteps, seeQuestion } from './judge/answers.ts'
import type { Asked } from './judge/protocols.ts'
import { type FakeServer, startServer } from './judge/server.ts'
import { program } from './programs.ts'
import { isSlow } from './slow.ts'

const freshFolder = folderMaker()
const started: FakeServer[] = []
afterAll(() => Promise.all(started.map((server) => server.close())))

async function serve(count: number): Promise<FakeServer[]> {
  const answer = (asked: Asked): string =>
    asked.schema === null ? 'The answer is 7.' : labelSteps(seeQuestion(asked), () => 'correct')
  const servers = await Promise.all(Array.from({ length: count }, () => startServer({ latencyMs: 20, answer })))
  started.push(...servers)
  return servers
}

const severalOf = (servers: readonly FakeServer[]): string =>
  `vllm:llama@${servers.map(({ url }) => `${url}/v1`).join(',')}`

/** A folder with solutions and questions, where commands run with a cache of their own. */
function makePlace(): { readonly folder: string; run(args: readonly string[]): Promise<string> } {
  const folder = freshFolder()
  const rows = Array.from({ length: 8 }, (_, at) => at)
  const write = (name: string, row: (at: number) => object): void =>
    writeFileSync(join(folder, name), rows.map((at) => `${JSON.stringify(row(at))}\n`).join(''))
  write('solutions.jsonl', (at) => ({ prompt: `What is ${at} + 7?`, completion: `Step 1: add.\nStep 2: ${at + 7}.` }))
  write('questions.jsonl', (at) => ({ prompt: `What is ${at} + 7?`, answer: String(at + 7) }))
  write('benchmark.jsonl', (at) => ({ id: `${at}`, problem: `What is ${at} + 7?`, steps: ['a.', 'b.'], label: -1 }))
  const script = program('test/judge/command.ts')
  return {
    folder,
    run: (args) =>
      new Promise((resolve) => {
        const environment = { PATH: process.env['PATH'], STEPDPO_CACHE: join(folder, 'cache') }
        const child = spawn(process.execPath, [script, ...args], { cwd: folder, env: environment })
        let output = ''
        const add = (text: Buffer): void => {
          output += text
        }
        child.stdout.on('data', add)
        child.stderr.on('data', add)
        child.on('close', (code) => resolve(`${output}code ${code}`))
      }),
  }
}

const judgesIn = (folder: string): string[] =>
  readFileSync(join(folder, 'judgements', 'judgements.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line): string => JSON.parse(line).judge)

const judging = ['judge', '--dataset_path', 'solutions.jsonl']

test('several addresses of one judge are one value on the command line and in YAML, also in a list of judges', async () => {
  const servers = await serve(3)
  const name = severalOf(servers.slice(0, 2))
  const other = `vllm:qwen@${servers[2].url}/v1`
  const writings: readonly (readonly [yaml: string, args: readonly string[], judges: number])[] = [
    ['', ['--reward_model', name], 1],
    ['', ['--judge', `arithmetic,${name},${other}`], 3],
    [`reward_model: ${name}`, [], 1],
    [`reward_model: [arithmetic, ${name}]`, [], 2],
  ]
  await Promise.all(
    writings.slice(0, isSlow ? undefined : 2).map(async ([yaml, args, judges]) => {
      const { folder, run } = makePlace()
      writeFileSync(join(folder, 'judge.yaml'), `few_shot: none\n${yaml}`)
      const output = await run([...judging, '--config', 'judge.yaml', ...args])
      expect(output).toMatch(/code 0$/)
      const [judge] = judgesIn(folder)
      expect(judge).toContain('vllm:llama@several')
      expect(judge.match(/arithmetic|vllm:\w+/g)).toHaveLength(judges)
    }),
  )
  expect(servers.map(({ served }) => served.length > 0)).toEqual([true, true, true])
}, 60_000)

test.runIf(isSlow)('every command that asks a judge takes several addresses', async () => {
  const name = severalOf(await serve(2))
  const { run } = makePlace()
  const generating = ['generate', '--base_model', name, '--dataset_path', 'questions.jsonl', '--output_dir', 'rollouts']
  expect(await run([...generating, '--num_samples', '2'])).toMatch(/code 0$/)
  const [evaluated, paired] = await Promise.all([
    run(['eval', 'processbench', '--reward_model', name, '--dataset_path', 'benchmark.jsonl', '--output_dir', 'eval']),
    run([
      ...['pairs', '--base_model', name, '--reward_model', name, '--dataset_path', 'rollouts/rollouts.jsonl'],
      ...['--num_resamples', '0', '--output_dir', 'pairs'],
    ]),
  ])
  for (const output of [evaluated, paired]) {
    expect(output).toContain('vllm:llama@several')
    expect(output).not.toContain('unknown provider')
  }
  expect(evaluated).toMatch(/code 0$/)
})

test('generate goes on where one server does not know the model, and names each address where none does', async () => {
  const [good, bad, worse] = await serve(3)
  bad.script(Array(500).fill('404'))
  worse.script(Array(500).fill('401'))
  const generating = ['generate', '--dataset_path', 'questions.jsonl', '--base_model']
  const [done, failed] = await Promise.all([
    makePlace().run([...generating, severalOf([bad, good])]),
    makePlace().run([...generating, severalOf([bad, worse]), '--limit', '3']),
  ])
  expect(done).toMatch(/8 rollouts[\s\S]*code 0$/)
  expect(good.served).toHaveLength(8)
  const each = [`${bad.url}/v1 (3 refused-request; `, `${worse.url}/v1 (3 unauthorized; `]
  for (const words of ['3 of 3 completions did not come from ', ...each]) expect(failed).toContain(words)
  expect(failed).toMatch(/HTTP 404: no such model[\s\S]*HTTP 401: invalid key[\s\S]*code 1$/)
}, 60_000)

test('--max_cost is refused where several servers may ask a price that is not known', async () => {
  const { run } = makePlace()
  const capped = [...judging, '--max_cost', '1', '--dry_run', '--reward_model']
  const foreign = await run([...capped, 'vllm:llama@https://a.example.org/v1,https://b.example.org/v1'])
  const local = await run([...capped, 'vllm:llama@http://localhost:1/v1,http://127.0.0.1:2/v1'])
  expect(foreign).toMatch(/the price of vllm:llama@several is not known[\s\S]*code 1$/)
  expect(local).toMatch(/code 0$/)
}, 60_000)
