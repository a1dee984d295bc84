/**
 * Keys that a server echoes in every way it can, and every byte that a judging process writes anywhere. The slow stage
 * (STEPDPO_STORM=1) also judges in the other modes, for people, and as `eval`.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createChatModel, parseJudgeName } from '../../src/judge/provider.ts'
import { folderMaker } from '../folders.ts'
import { program } from '../programs.ts'
import { isSlow } from '../slow.ts'
import { ECHOES, findLeaks, formsOfKey, startLeakyServer } from './leaks.ts'
import { startServer } from './server.ts'

const freshFolder = folderMaker()
/** Of the vendors' shapes; of the second also with characters that URLs, JSON and base64 write in other ways. */
const OPENAI_KEY = 'sk-proj-canary7Hq2zX9wLm4Tn0bVcK_3fRd-8YsJ6uGp1Qe5Wa'
const ANTHROPIC_KEY = 'sk-ant-api03-canary+Vb/8Zk=2Nf"5Ty&9Rh%4Gj<7Lm>1Qx?6Dw'
const KEYS = [OPENAI_KEY, ANTHROPIC_KEY]

const leaky = await startLeakyServer()
afterAll(() => leaky.close())

function writeRows(path: string): void {
  const rows = Array.from({ length: isSlow ? 60 : 5 }, (_, at) => {
    const steps = Array.from({ length: 5 }, (_, step) => `${at} says ${step}`)
    return { id: `row-${at}`, problem: `Problem ${at}`, steps, final_answer_correct: true, label: -1 }
  })
  writeFileSync(path, JSON.stringify(rows))
}

interface Written {
  /** Of a file, or of a stream of the process. */
  readonly name: string
  readonly text: string
}

/** Runs the command in a folder of its own and gives all that it has written. */
async function runCommand(args: readonly string[]): Promise<Written[]> {
  const folder = freshFolder()
  mkdirSync(join(folder, 'work'))
  writeRows(join(folder, 'work', 'rows.json'))
  const script = program('test/judge/command.ts')
  const models = ['gpt-4', 'claude-sonnet-4-5'].join()
  const common = ['--reward_model', models, '--dataset_path', 'rows.json', '--output_dir', 'out', '--attempts', '1']
  const child = spawn(process.execPath, [script, ...args, ...common], {
    cwd: join(folder, 'work'),
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      STEPDPO_CACHE: join(folder, 'cache'),
      OPENAI_API_KEY: OPENAI_KEY,
      ANTHROPIC_API_KEY: ANTHROPIC_KEY,
      OPENAI_BASE_URL: `${leaky.url}/v1`,
      ANTHROPIC_BASE_URL: leaky.url,
      DEBUG: '*',
      NODE_DEBUG: 'http,fetch',
      OPENAI_LOG: 'debug',
      ANTHROPIC_LOG: 'debug',
    },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => (stdout += chunk))
  child.stderr.on('data', (chunk) => (stderr += chunk))
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr.slice(-500)}`)
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return [
    { name: 'stdout', text: stdout },
    { name: 'stderr', text: stderr },
    ...files.map(({ parentPath, name }) => ({ name, text: readFileSync(join(parentPath, name), 'latin1') })),
  ]
}

test('whoever looks for keys finds them in every form, in parts, and over lines', () => {
  for (const key of KEYS) {
    for (const form of formsOfKey(key)) {
      expect(findLeaks(`before ${form} after`, key).length).toBeGreaterThan(0)
      expect(findLeaks(`x${form.slice(3, 15)}x`, key)).toEqual([form.slice(3, 15)])
      expect(findLeaks(`${form.slice(0, 9)}\n ${form.slice(9, 18)}`, key).length).toBeGreaterThan(0)
    }
    expect(findLeaks('sk-proj-… and sk-ant-api03, as every key begins', key).length).toBe(
      key.startsWith('sk-ant') ? 1 : 0,
    )
  }
})

test.each([
  ['judge --json --judge_mode step', 'judge --judge_mode step --json'],
  ...(isSlow
    ? [
        ['judge for people', 'judge --judge_mode solution --few_shot none'],
        ['judge by probability', 'judge --judge_mode probability --json'],
        ['eval', 'eval processbench --judge_mode step --json'],
      ]
    : []),
])('%s writes no part of a key that is echoed to it', async (_, line) => {
  const written = await runCommand(line.split(' '))
  for (const name of [
    'judgements.jsonl',
    'summary.json',
    'LLM_USAGE.md',
    'llm_usage.jsonl',
    'ledger.jsonl',
    'stdout',
  ]) {
    expect([name, written.find((one) => one.name === name)?.text ?? '']).toEqual([name, expect.stringMatching(/\w/)])
  }
  const leaks = written.flatMap(({ name, text }) =>
    KEYS.flatMap((key) => findLeaks(text, key).map((part) => [name, part])),
  )
  expect(leaks).toEqual([])
  const ledger = written.find(({ name }) => name === 'ledger.jsonl')?.text ?? ''
  expect(ledger.split('[secret]').length).toBeGreaterThan(20)
  expect([...leaky.played.keys()].sort()).toEqual(Object.keys(ECHOES).sort())
  expect(leaky.stolen()).toBe(0)
})

test('tokens with their probabilities are without the key, too', async () => {
  const echo = await startServer({ answer: () => `${OPENAI_KEY} Yes` })
  const parsed = parseJudgeName(`openai:gpt-4o@${echo.url}/v1`)
  if (parsed.kind !== 'chat') throw new Error('not a chat model')
  const model = createChatModel(parsed, { environment: { OPENAI_API_KEY: OPENAI_KEY } })
  const sampling = { schema: null, maxTokens: 9, temperature: 0, topP: null, seed: null, topLogprobs: 2, sample: 0 }
  const request = { messages: [{ role: 'user' as const, content: 'x' }], ...sampling }
  const reply = await model.complete(request, new AbortController().signal)
  expect(reply.logprobs?.map(({ token }) => token)).toEqual(['[secret] ', 'Yes'])
  expect(findLeaks(JSON.stringify(reply), OPENAI_KEY)).toEqual([])
  await echo.close()
})
