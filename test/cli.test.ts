/** The command line as users meet it: real processes, their output, their exit codes, what they leave. */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, describe, expect, test } from 'vitest'
import { convertSchema, inspectSchema, scoreSchema } from '../src/recipe/command-settings.ts'
import { trainSchema } from '../src/recipe/config.ts'
import { generateSchema } from '../src/recipe/generate-settings.ts'
import { downloadSchema, pushSchema } from '../src/recipe/hub-settings.ts'
import { packageVersion } from '../src/recipe/version.ts'
import { loadTokenizer } from '../src/text/tokenizer.ts'
import { listCheckpoints } from '../src/train/checkpoint.ts'
import { buildCommand, type Finished } from './cli-run.ts'
import { makeSite, outcome } from './run.ts'
import { isSlow } from './slow.ts'

const site = makeSite()
afterAll(() => rmSync(site.folder, { recursive: true }))
const command = buildCommand(site.folder)

const at = (...path: readonly string[]): string => join(site.folder, ...path)
const read = (...path: readonly string[]): string => readFileSync(at(...path), 'utf8')
const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
const rowLines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')

/** Writes a file of the site and gives its name. */
function file(name: string, content: string | Uint8Array): string {
  writeFileSync(at(name), content)
  return name
}

const STACK = /^\s+at .+:\d+/m

/** Succeeded, and complained of nothing. */
function expectDone({ code, stdout, stderr }: Finished): string {
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return stdout
}

/** Ended as said, in words: no stack. */
function expectRefusal({ code, stderr }: Finished, expectedCode: number, says: readonly RegExp[]): void {
  for (const words of says) expect(stderr).toMatch(words)
  expect(stderr).not.toMatch(STACK)
  expect(stderr).toMatch(/^(Usage: [\s\S]*)?stepdpo: /)
  expect(code).toBe(expectedCode)
}

const STEPS = 'steps.jsonl'
const quick = ['--max_length', '400', '--max_row_tokens', '600', '--lora_r', '4', '--threads', '1']
const training = ['train', '--base_model', 'model', '--dataset_path', STEPS, ...quick]

/** Token ids, so that training and `score` see the same tokens. */
const held = [
  { prompt_ids: [65, 66, 67], chosen_ids: [50, 51, 52], rejected_ids: [52, 51] },
  { prompt_ids: [65, 66, 67], chosen_ids: [50, 51, 53, 54], rejected_ids: [50, 51, 55] },
  { prompt_ids: [97, 98], chosen_ids: [43, 44, 45], rejected_ids: [46, 47, 48] },
  { prompt_ids: [100, 101, 102, 103], chosen_ids: [32, 61], rejected_ids: [32, 62, 63] },
  { prompt_ids: [110], chosen_ids: [70, 71, 72, 73, 74], rejected_ids: [75] },
]
file('held.jsonl', rowLines(held))

/** A run that learns, evaluates and tells everything as JSON. Others repeat, resume and use it. */
const calmArguments = [
  ...training,
  ...['--max_steps', '40', '--per_device_train_batch_size', '1', '--learning_rate', '2e-3'],
  ...['--eval_strategy', 'steps', '--eval_steps', '15', '--eval_dataset_path', 'held.jsonl', '--save_steps', '1000'],
]
const calm = command.run([...calmArguments, '--output_dir', 'calm', '--json'])

describe('train', () => {
  test('with --json writes events as JSON lines from begin to end, and nothing else', async () => {
    const events = jsonLines(expectDone(await calm))
    expect(events[0]).toMatchObject({ type: 'run-begin', folder: 'calm', model: 'model', data: STEPS })
    expect(events.at(-1)).toMatchObject({ type: 'run-end', update: 40, folder: 'calm' })
    for (const { type, time } of events) expect([type, time]).toEqual([expect.any(String), expect.stringMatching(/Z$/)])
    const updates = events.filter(({ type }) => type === 'update-end')
    expect(updates.map(({ update }) => update)).toEqual(updates.map((_, index) => index + 1))
    expect(updates[0].metrics.loss).toBeCloseTo(Math.LN2, 6)
  })

  test('stopped by Ctrl-C saves, says how to go on, exits with 130, and resumed ends as if never stopped', async () => {
    const args = [...calmArguments, '--output_dir', 'stopped']
    const running = command.start(args)
    await running.said('step=3/40')
    running.kill('SIGINT')
    const first = await running.end
    expect(first.stderr).toBe('')
    expect(first.code).toBe(130)
    const [checkpoint] = listCheckpoints(at('stopped'))
    expect(checkpoint.update).toBeLessThan(40)
    const last = first.stdout.trimEnd().split('\n').at(-1)
    expect(last).toContain(`stopped after update ${checkpoint.update}, saved stopped/checkpoint-${checkpoint.update}`)
    expect(last).toContain('--resume_from_checkpoint')

    const rest = expectDone(await command.run([...args, '--resume_from_checkpoint']))
    expect(rest).toContain(`\nresumed from checkpoint-${checkpoint.update}\n`)
    expect(rest).toContain(`\nstep=${checkpoint.update + 1}/40 `)
    expect(rest).not.toContain(`\nstep=${checkpoint.update}/40 `)
    await calm
    const [found, expected] = [outcome(at('stopped')), outcome(at('calm'))]
    for (const name of [
      'adapter_model.safetensors',
      'stepdpo/metrics.jsonl',
      'checkpoint-40/adapter_model.safetensors',
      'checkpoint-40/optimizer.safetensors',
    ]) {
      expect(found.get(name) !== undefined && found.get(name) === expected.get(name), name).toBe(true)
    }
  })

  test('in a pipe writes plain lines, one for each update, also where a terminal would have colours', async () => {
    const environment = { TERM: 'xterm-256color', COLORTERM: 'truecolor' }
    const args = [...training, '--max_steps', '3', '--output_dir', 'plain', '--eval_strategy', 'epoch']
    const stdout = expectDone(await command.run(args, { environment }))
    const number = String.raw`-?\d[\d.]*(e[+-]\d\d)?`
    const line = new RegExp(
      `^step=\\d/3 loss=${number} rewards/margins=${number} rewards/accuracies=${number} ` +
        `learning_rate=${number} grad_norm=${number} tok/s=\\d+$`,
    )
    const lines = stdout.trimEnd().split('\n')
    expect(lines.filter((one) => line.test(one)).map((one) => one.slice(0, 8))).toEqual([
      'step=1/3',
      'step=2/3',
      'step=3/3',
    ])
    expect(lines.filter((one) => one.startsWith('step=') && !line.test(one))).toEqual([])
    expect(lines[0]).toMatch(/^stepdpo train model · LoRA r4 · steps\.jsonl · cpu\(1\) · run \S+$/)
    expect(lines.some((one) => /^eval@3: loss /.test(one))).toBe(true)
    expect(lines.at(-1)).toMatch(/^finished 3 updates in 00:\d\d: plain$/)
    expect(stdout).not.toContain('\u001b')
    expect(read('plain', 'stepdpo', 'run.log')).toBe(stdout)
  })

  test("understands the original README's command, flag by flag, and stops at SIGTERM as at Ctrl-C", async () => {
    const folder = 'original'
    mkdirSync(at(folder, 'meta-llama'), { recursive: true })
    mkdirSync(at(folder, 'data'))
    cpSync(site.model, at(folder, 'meta-llama/Llama-2-7b-hf'), { recursive: true })
    writeFileSync(at(folder, 'data/prm800k_subset.json'), JSON.stringify(jsonLines(read(STEPS))))
    const args = [
      ...['--base_model', 'meta-llama/Llama-2-7b-hf', '--dataset_path', './data/prm800k_subset.json'],
      ...['--output_dir', './checkpoints/stepwise_dpo', '--max_steps', '500', '--per_device_train_batch_size', '4'],
      ...['--reward_model', 'gpt-4', '--evaluation_strategy', 'steps'],
    ]
    const running = command.start(args, { folder, script: 'scripts/run_trainer.js' })
    await running.said('step=2/500')
    running.kill('SIGTERM')
    const { code, stdout, stderr } = await running.end
    expect(stderr).toBe('')
    expect(code).toBe(130)
    expect(stdout).toContain('the data are labelled: --reward_model gpt-4 is not asked')
    expect(listCheckpoints(at(folder, 'checkpoints/stepwise_dpo'))).toHaveLength(1)
  })

  test('from a YAML file is the same run, and flags outweigh the file', async () => {
    await calm
    const config = ['--config', 'calm/stepdpo/config.resolved.yaml', '--output_dir', 'again', 'json=false']
    const stdout = expectDone(await command.run(['train', ...config]))
    expect(stdout).toMatch(/^stepdpo train /)
    expect(outcome(at('again')).get('adapter_model.safetensors')).toBe(
      outcome(at('calm')).get('adapter_model.safetensors'),
    )
    const { json: _, output_dir: __, ...again } = JSON.parse(read('again', 'training_args.json'))
    expect(JSON.parse(read('calm', 'training_args.json'))).toMatchObject(again)
  })

  // An update is one pass over all pairs, one row for each side.
  const longUpdates = ['--gradient_accumulation_steps', '5000', '--per_device_train_batch_size', '1', '--pack', 'none']
  test('belongs to one process: a second is refused, a second Ctrl-C ends at once without saving', async () => {
    const args = [...training, '--output_dir', 'long', '--max_steps', '2000', ...longUpdates]
    const running = command.start(args)
    await running.said('data: ')
    expectRefusal(await command.run(args), 1, [new RegExp(`long is in use by process ${running.pid} `)])
    running.kill('SIGINT')
    await running.said('Ctrl-C again')
    const asked = performance.now()
    running.kill('SIGINT')
    expect((await running.end).code).toBe(130)
    expect(performance.now() - asked).toBeLessThan(20_000)
    expect(listCheckpoints(at('long'))).toEqual([])
  })

  test('saves and stops without a complaint when whoever read its output has gone', async () => {
    const args = [...training, '--output_dir', 'unread', '--max_steps', '2000', '--per_device_train_batch_size', '1']
    const running = command.start(args)
    await running.said('step=1/')
    running.closeOutput()
    const { code, stderr } = await running.end
    expect(stderr).toBe('')
    expect(code).toBe(130)
    expect(listCheckpoints(at('unread'))).toHaveLength(1)
  })
})

interface Side {
  readonly ids: number[]
  readonly logprobs: number[]
  readonly sum: number
}
type ScoreLine = { readonly chosen: Side; readonly rejected: Side }

const scoring = ['score', '--base_model', 'model', '--threads', '1', '--dataset_path']

describe.concurrent('score', () => {
  test('with the adapter and without gives the rewards, accuracies and log-probabilities of the evaluation', async () => {
    await calm
    const runs = await Promise.all([
      command.run([...scoring, 'held.jsonl', '--adapter', 'calm']),
      command.run([...scoring, 'held.jsonl']),
    ])
    const [policy, reference]: ScoreLine[][] = runs.map(expectDone).map(jsonLines)
    expect(policy.map(({ chosen, rejected }) => [chosen.ids, rejected.ids])).toEqual(
      held.map(({ chosen_ids, rejected_ids }) => [chosen_ids, rejected_ids]),
    )
    for (const { logprobs, ids, sum } of [...policy, ...reference].flatMap(({ chosen, rejected }) => [
      chosen,
      rejected,
    ])) {
      expect(logprobs).toHaveLength(ids.length)
      expect(sum).toBe(logprobs.reduce((total, logp) => total + logp, 0))
      expect(Math.max(...logprobs)).toBeLessThan(0)
    }
    const mean = (value: (row: ScoreLine, index: number) => number): number =>
      policy.map(value).reduce((total, one) => total + one, 0) / policy.length
    const beta = trainSchema.shape.beta.parse(undefined)
    const chosen = mean((row, index) => beta * (row.chosen.sum - reference[index].chosen.sum))
    const rejected = mean((row, index) => beta * (row.rejected.sum - reference[index].rejected.sum))
    const metrics = JSON.parse(read('calm', 'eval_results.json'))
    expect(metrics['eval_rewards/chosen']).toBeCloseTo(chosen, 4)
    expect(metrics['eval_rewards/rejected']).toBeCloseTo(rejected, 4)
    expect(metrics['eval_rewards/margins']).toBeCloseTo(chosen - rejected, 4)
    expect(metrics['eval_logps/chosen']).toBeCloseTo(
      mean((row) => row.chosen.sum),
      4,
    )
    expect(metrics['eval_reference/accuracies']).toBeCloseTo(
      mean((_, index) => Number(reference[index].chosen.sum > reference[index].rejected.sum)),
      12,
    )
    // Otherwise the adapter has changed nothing, and the comparison says nothing.
    expect(Math.abs(chosen) + Math.abs(rejected)).toBeGreaterThan(0.01)
  })

  const mixed = file(
    'mixed.jsonl',
    rowLines([
      { ids: [65, 66, 67, 50] },
      { prompt: 'ABC', completion: '234' },
      { prompt: 'ABC', chosen: '2', rejected: '3' },
      { prompt: [{ role: 'user', content: 'ABC' }], completion: '2' },
    ]) + 'not json\n{"prompt": "p"}\n{"ids": [65, 999]}\n{"ids": [65, 66]}\n',
  )

  test('takes ids, completions and preference rows; a row it cannot score says why, and standard error how many', async () => {
    const { code, stdout, stderr } = await command.run([...scoring, mixed])
    const rows = jsonLines(stdout)
    expect(code).toBe(0)
    expect(stderr).toMatch(/^3 of 8 rows could not be scored/)
    expect(rows.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(rows.map(({ error }) => error)).toEqual([
      ...[undefined, undefined, undefined, undefined],
      expect.stringMatching(/JSON/),
      expect.stringMatching(/completion/),
      expect.stringMatching(/999.*vocabulary of 260/),
      undefined,
    ])
    // The tokenizer is one of bytes: 'ABC' is 65 66 67. The first token has nothing before it.
    expect(rows[0].ids).toEqual([66, 67, 50])
    expect(rows[1].ids).toEqual([50, 51, 52])
    expect(rows[2].chosen.ids).toEqual([50])
    expect(rows[2].rejected.ids).toEqual([51])
    // The same token after the same text, in three kinds of rows; behind a template it is another matter.
    expect(rows[1].logprobs[0]).toBeCloseTo(rows[0].logprobs[2], 5)
    expect(rows[2].chosen.sum).toBeCloseTo(rows[0].logprobs[2], 5)
    expect(rows[3].ids).toEqual([50])
    expect(Math.abs(rows[3].sum - rows[2].chosen.sum)).toBeGreaterThan(1e-3)
    expect(rows[7].logprobs[0]).toBeCloseTo(rows[0].logprobs[0], 5)
  })

  test('writes to a file what it would write to standard output, and keeps an old file where it cannot begin', async () => {
    const whole = await command.run([...scoring, 'held.jsonl'])
    expect(expectDone(await command.run([...scoring, 'held.jsonl', '--output_path', 'scores.jsonl']))).toBe('')
    expect(read('scores.jsonl')).toBe(whole.stdout)
    expectRefusal(await command.run([...scoring, 'nowhere.jsonl', '--output_path', 'scores.jsonl']), 1, [
      /nowhere\.jsonl/,
    ])
    expect(read('scores.jsonl')).toBe(whole.stdout)
    expectRefusal(await command.run([...scoring, 'held.jsonl', '--output_path', 'no/such/folder']), 1, [
      /no\/such\/folder/,
    ])
  })

  test('with --strict ends at the first row it cannot score', async () => {
    const refused = await command.run([...scoring, mixed, '--strict'])
    expectRefusal(refused, 1, [/mixed\.jsonl:5: expected a row to score, found not JSON/])
  })

  test('terminates without a complaint when whoever read its output has gone', async () => {
    const running = command.start([...scoring, 'held.jsonl'])
    running.closeOutput()
    expect(await running.end).toMatchObject({ signal: 'SIGTERM', stderr: '' })
  })
})

describe.concurrent('generate', () => {
  const generating = ['generate', '--base_model', 'model', '--threads', '1', '--max_new_tokens', '6']
  const tokenizer = loadTokenizer(site.model)

  test('gives the same ids every time, from the chat template, and the text they stand for', async () => {
    const args = [...generating, '--prompt', 'Ada has 3']
    const [json, again, plain] = await Promise.all([
      command.run([...args, '--json']),
      command.run([...args, '--json']),
      command.run(args),
    ])
    const { prompt_ids, ids, text } = JSON.parse(expectDone(json))
    expect(again.stdout).toBe(json.stdout)
    expect(prompt_ids).toEqual(tokenizer.chatPrompt([{ role: 'user', content: 'Ada has 3' }]))
    expect(ids.length).toBeGreaterThan(0)
    expect(ids.length).toBeLessThanOrEqual(6)
    expect(text).toBe(tokenizer.decodeContinuation(ids))
    expect(expectDone(plain).endsWith('\n')).toBe(true)
    expect(plain.stdout).not.toContain('\u001b')
  })

  test('with --raw goes on from the prompt as it is; with an adapter it is another model', async () => {
    await calm
    const args = [...generating, '--prompt', 'Ada has 3', '--json']
    const [raw, adapted, base] = (
      await Promise.all([
        command.run([...args, '--raw']),
        command.run([...args, '--raw', '--adapter', 'calm']),
        command.run(args),
      ])
    ).map((run) => JSON.parse(expectDone(run)))
    expect(raw.prompt_ids).toEqual([...Buffer.from('Ada has 3')])
    expect(adapted.prompt_ids).toEqual(raw.prompt_ids)
    expect(base.prompt_ids.length).toBeGreaterThan(raw.prompt_ids.length)
    expect(adapted.ids).not.toEqual(raw.ids)
  })
})

interface Counted {
  readonly read: number
  readonly used: number
  readonly bad?: number
  readonly dropped: Readonly<Record<string, { readonly count: number }>>
}

/** All that was read is used, bad or left out for a reason. */
function expectSum({ read, used, bad = 0, dropped }: Counted): void {
  expect(used + bad + Object.values(dropped).reduce((sum, { count }) => sum + count, 0)).toBe(read)
}

describe('data inspect', () => {
  const user = (content: string) => ({ role: 'user', content })
  const assistant = (content: string) => ({ role: 'assistant', content })
  const texts = [
    { prompt: '2+2=', chosen: '4', rejected: '5' },
    { prompt: '2+3=', chosen: '5', rejected: '6' },
  ]
  const stepRows = read(STEPS)
  const table = parquetWriteBuffer({
    columnData: ['prompt', 'chosen', 'rejected'].map((name) => ({
      name,
      data: texts.map((row) => new Map(Object.entries(row)).get(name)),
      type: 'STRING',
    })),
  })
  const formats: [string, string, string | Uint8Array, number][] = [
    ['prm800k', 'as.jsonl', stepRows, 123],
    ['prm800k', 'as.json', JSON.stringify(jsonLines(stepRows)), 123],
    ['prm800k', 'as.jsonl.gz', gzipSync(stepRows), 123],
    ['preference', 'text.jsonl', rowLines(texts), 2],
    ['preference', 'text.parquet', new Uint8Array(table), 2],
    [
      'preference',
      'messages.json',
      JSON.stringify([{ prompt: [user('2+2?')], chosen: [assistant('4')], rejected: [assistant('5')] }]),
      1,
    ],
    [
      'math-step-dpo',
      'math.jsonl',
      rowLines([{ prompt: 'p', initial_reason_steps: 'a\n', chosen: 'b', rejected: 'c', full_chosen: 'b' }]),
      1,
    ],
    [
      'stepwise',
      'stepwise.jsonl',
      rowLines([
        { prompt: 'p', completions: ['a', 'b'], labels: [true, true] },
        { prompt: 'p', completions: ['a', 'c'], labels: [true, false] },
      ]),
      1,
    ],
    ['pretokenised', 'ids.jsonl', rowLines(held), 5],
  ]

  test.concurrent.each(sampled(formats))(
    'reads %s from %s, and its counts add up',
    async (format, name, content, pairs) => {
      file(name, content)
      const json = await command.run(['data', 'inspect', name, '--base_model', 'model', '--json', '--n', '1'])
      const { audit, examples, encoded } = JSON.parse(expectDone(json))
      expect(audit.format).toBe(format)
      expect(audit.pairs.all.pairs).toBe(pairs)
      expectSum(audit.counts.rows)
      expectSum(audit.counts.members)
      expect(encoded.pairs).toBe(pairs)
      expect(examples).toHaveLength(1)
    },
  )

  test('needs no model: what it counts in tokens then are the ids that a row brings', async () => {
    const [ids, words] = await Promise.all([
      command.run(['data', 'inspect', file('bare-ids.jsonl', rowLines(held)), '--n', '1']),
      command.run(['data', 'inspect', STEPS, '--n', '1']),
    ])
    expect(expectDone(ids)).toMatch(/^bare-ids\.jsonl: pretokenised\n/)
    expect(ids.stdout).toMatch(/\npairs +all 5, best_worst 5, first 5\n/)
    expect(ids.stdout).toMatch(/\n {2}97 98\n\+ ⟦43 44 45⟧\n {2}rating 1, 3 tokens\n− ⟦46 47 48⟧\n/)
    expect(expectDone(words)).toMatch(/\n\+ ⟦[^⟦⟧]+⟧\n {2}rating 1\n/)
    expect(ids.stdout + words.stdout).not.toContain('\u001b')
  })

  test('marks what is scored with one pair of brackets a side, and counts its tokens', async () => {
    const name = file(
      'shown.jsonl',
      rowLines([
        {
          question: { problem: 'How many?' },
          label: {
            steps: [
              {
                completions: [
                  { text: 'Zwölf – so\nviele.', rating: 1 },
                  { text: 'Two.', rating: -1 },
                ],
                chosen_completion: 0,
              },
              {
                completions: [
                  { text: 'So\n\n# Answer\n\n12', rating: 1 },
                  { text: 'Now.', rating: -1 },
                ],
              },
            ],
          },
        },
      ]),
    )
    const tokens = expectDone(await command.run(['data', 'inspect', name, '--base_model', 'model']))
    const examples = tokens.slice(tokens.indexOf('example shown.jsonl:1')).trimEnd().split('\n')
    expect(examples).toEqual([
      'example shown.jsonl:1',
      '  <|user|>How many?<|assistant|>',
      '+ ⟦Zwölf – so↵viele.↵⟧',
      '  rating 1, 21 tokens', // bytes: 15 characters of one, ö of two, – of three, the line end after a step
      '− ⟦Two.↵⟧',
      '  rating -1, 5 tokens',
      '',
      'example shown.jsonl:1',
      '  <|user|>How many?<|assistant|>Zwölf – so',
      '  viele.',
      '  ',
      '+ ⟦So↵↵# Answer↵↵12<|end|>⟧',
      '  rating 1, 17 tokens, ends the solution',
      '− ⟦Now.↵⟧',
      '  rating -1, 5 tokens',
    ])
  })

  const official = fileURLToPath(new URL('../../shared/data/prm800k/official_samples.jsonl', import.meta.url))
  test.skipIf(!existsSync(official))(
    'finds 26 pairs in the official samples, 36 with neutral as negative',
    async () => {
      const runs = await Promise.all([
        command.run(['data', 'inspect', official, '--json']),
        command.run(['data', 'inspect', official, '--json', '--neutral', 'negative']),
      ])
      const pairs = runs.map((run) => JSON.parse(expectDone(run)).audit.pairs.all.pairs)
      expect(pairs).toEqual([26, 36])
    },
  )
})

describe.concurrent('help', () => {
  const commands = [
    [['train'], trainSchema],
    [['score'], scoreSchema],
    [['generate'], generateSchema],
    [['data', 'inspect'], inspectSchema],
    [['data', 'convert'], convertSchema],
    [['download'], downloadSchema],
    [['push'], pushSchema],
  ] as const

  test.concurrent.each(sampled(commands))('of %j lists every setting', async (words, schema) => {
    const help = expectDone(await command.run([...words, '--help']))
    for (const key of Object.keys(schema.shape)) expect(help).toMatch(new RegExp(`^  --${key} `, 'm'))
    expect(help).toContain('--config <file>')
  })

  test('of train has its groups in order', async () => {
    const help = expectDone(await command.run(['help', 'train']))
    expect(help).toBe(expectDone(await command.run(['train', '--help'])))
    const groups = [...help.matchAll(/^(\S.*):$/gm)].map(([, group]) => group)
    expect(groups).toEqual([
      'Options',
      'Model and data',
      'Pairs',
      'Objective',
      'LoRA',
      'Training',
      'Evaluation',
      'Saving and logging',
      'PyTorch',
    ])
  })

  test('names every command, and --version the version of the package', async () => {
    const help = expectDone(await command.run(['--help']))
    for (const name of ['train', 'score', 'generate', 'data']) expect(help).toMatch(new RegExp(`^  ${name} `, 'm'))
    expect(expectDone(await command.run(['help']))).toBe(help)
    expect(expectDone(await command.run(['--version']))).toBe(`${packageVersion()}\n`)
  })
})

/** Each is a process of its own: a fifth of them here, all in the slow stage. */
function sampled<T>(cases: readonly T[]): readonly T[] {
  return cases.filter((_, at) => isSlow || at % 5 === 0)
}

describe('a command that cannot be understood exits with 2', () => {
  file('wrong.yaml', 'base_model: model\nmax_stepz: 3\n')
  const given = ['--base_model', 'model', '--dataset_path', STEPS]
  const cases: [string, string[], RegExp[]][] = [
    ['nothing', [], [/^Usage: stepdpo /, /expected a command/]],
    ['a misspelt command', ['trian'], [/unknown command 'trian'/, /Did you mean train\?/]],
    ['a misspelt second word', ['data', 'inspct'], [/unknown command 'inspct'/, /inspect/]],
    ['nothing that is needed', ['train'], [/--base_model is missing/, /--dataset_path is missing/]],
    ['a misspelt flag', ['train', '--max_stepz', '3'], [/--max_stepz: .* did you mean --max_steps\?/]],
    [
      'text for a number',
      ['train', ...given, '--max_steps', 'many'],
      [/--max_steps: expected an integer.*, found 'many'/],
    ],
    [
      'a choice there is not',
      ['train', ...given, '--eval_strategy', 'stps'],
      [/--eval_strategy: expected one of no, steps, epoch, found 'stps'/],
    ],
    ['a flag without its value', ['generate', '--prompt'], [/--prompt: expected text.*, found nothing/]],
    ['a stray word', ['score', 'rows.jsonl'], [/'rows\.jsonl': expected --name value/]],
    ['a flag of another command', ['generate', '--beta', '0.1'], [/--beta: there is no such setting/]],
    ['a config that is not there', ['train', '--config', 'none.yaml'], [/--config: cannot read none\.yaml/]],
    [
      'a wrong name in YAML',
      ['train', '--config', 'wrong.yaml'],
      [/wrong\.yaml:2: max_stepz: .*did you mean max_steps\?/],
    ],
    ['no path to inspect', ['data', 'inspect'], [/--dataset_path is missing/]],
  ]
  test.concurrent.each(sampled(cases))('%s', async (_, args, says) => {
    const ended = await command.run(args)
    expectRefusal(ended, 2, [...says, /See 'stepdpo --help'/])
    expect(ended.stdout).toBe('')
  })
})

/** A copy of the model in which something is not as it should be. */
function brokenModel(name: string, change: (folder: string) => void): string {
  cpSync(site.model, at(name), { recursive: true })
  change(at(name))
  return name
}

function editConfig(change: object): (folder: string) => void {
  return (folder) => {
    const path = join(folder, 'config.json')
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }))
  }
}

describe('what a user can mend exits with 1, and says what and where', () => {
  const lines = stepLines()
  const halfRow = file('half-row.jsonl', [...lines.slice(0, 3), '{"question": oops', ...lines.slice(3)].join('\n'))
  const data = (path: string, ...more: string[]): string[] => [
    ...['train', '--base_model', 'model', '--dataset_path', path, '--output_dir', `out-${path}`],
    ...['--max_steps', '1', ...quick, ...more],
  ]
  const model = (path: string, ...more: string[]): string[] => [
    ...['train', '--base_model', path, '--dataset_path', STEPS, '--output_dir', `out-${path}`],
    ...['--max_steps', '1', ...quick, ...more],
  ]
  const weights = readFileSync(join(site.model, 'model.safetensors'))
  mkdirSync(at('empty-folder'))
  symlinkSync('loop.jsonl', at('loop.jsonl'))

  function stepLines(): string[] {
    return read(STEPS).trimEnd().split('\n')
  }

  const cases: [string, string[], RegExp[]][] = [
    ['no data file', data('none.jsonl'), [/none\.jsonl/]],
    ['an empty data file', data(file('empty.jsonl', '')), [/empty\.jsonl: expected rows, found an empty file/]],
    ['an empty list of rows', data(file('empty.json', '[]')), [/empty\.json: expected rows, found none/]],
    ['a data file that leads to itself', data('loop.jsonl'), [/loop\.jsonl/, /ELOOP/]],
    ['a folder without data', data('empty-folder'), [/empty-folder: expected one \.jsonl.*found none/]],
    [
      'gzip that was cut',
      data(file('cut.jsonl.gz', gzipSync(read(STEPS)).subarray(0, 500))),
      [/cut\.jsonl\.gz: expected whole gzip data/],
    ],
    [
      'parquet that was cut',
      data(file('cut.parquet', 'PAR1 and no more')),
      [/cut\.parquet: expected whole parquet data/],
    ],
    [
      'columns of no known format',
      data(file('unknown.jsonl', '{"colour": 1, "taste": 2}\n')),
      [/unknown\.jsonl:1: .*its columns: colour, taste/, /prm800k \(question, label\)/],
    ],
    [
      'rows that nobody has labelled',
      data(file('asked.jsonl', '{"prompt": "How many?"}\n'), '--reward_model', 'replay:no-such.jsonl'),
      [/no-such\.jsonl/],
    ],
    [
      'a row that does not parse, where that is strict',
      data(halfRow, '--strict'),
      [/half-row\.jsonl:4: expected a prm800k row, found not JSON/],
    ],
    ['no model', model('no-model'), [/no model at no-model: expected a folder with config\.json and weights/]],
    [
      'a model without a tokenizer',
      model(brokenModel('no-words', (folder) => rmSync(join(folder, 'tokenizer.json')))),
      [/no-words: expected a tokenizer\.json/],
    ],
    [
      'a model without its configuration',
      model(brokenModel('no-config', (folder) => rmSync(join(folder, 'config.json')))),
      [/no-config: expected a config\.json or one \.gguf file, found neither/],
    ],
    [
      'a model without weights',
      model(brokenModel('no-weights', (folder) => rmSync(join(folder, 'model.safetensors')))),
      [/no-weights: expected model\.safetensors.*found none/],
    ],
    [
      'weights that were cut',
      model(
        brokenModel('cut', (folder) => writeFileSync(join(folder, 'model.safetensors'), weights.subarray(0, 100_000))),
      ),
      [/cut\/model\.safetensors: expected \d+ bytes in all, found 100000/],
    ],
    [
      'an architecture that is not supported',
      model(brokenModel('other', editConfig({ model_type: 'mamba' }))),
      [/other\/config\.json: model_type 'mamba' is not supported; supported are llama/],
    ],
    [
      'a tensor that is missing',
      model(brokenModel('deeper', editConfig({ num_hidden_layers: 4 }))),
      [/deeper\/model\.safetensors: expected a tensor 'model\.layers\.3\.\S+' \[.*\], found none/],
    ],
    [
      'a tensor of another shape',
      model(brokenModel('thinner', editConfig({ intermediate_size: 96 }))),
      [
        /thinner\/model\.safetensors: expected 'model\.layers\.0\.mlp\.gate_proj\.weight' of shape \[96, 64\], found \[160, 64\]/,
      ],
    ],
    [
      'a target that is no linear',
      [...model('model', '--lora_target_modules', 'q_prog'), '--output_dir', 'out-t'],
      [/q_prog.*q_proj/],
    ],
    [
      'an adapter that is not there',
      [...model('model', '--adapter', 'empty-folder'), '--output_dir', 'out-a'],
      [/empty-folder\/adapter_config\.json/],
    ],
    [
      'an output folder that is a file',
      [...model('model'), '--output_dir', STEPS],
      [/steps\.jsonl/, /ENOTDIR|EEXIST|folder/],
    ],
    [
      'a checkpoint that is not there',
      [...model('model', '--resume_from_checkpoint', 'calm/checkpoint-9'), '--output_dir', 'out-c'],
      [/--resume_from_checkpoint: expected a folder checkpoint-N, found calm\/checkpoint-9/],
    ],
    [
      'a leak',
      [...model('model', '--check_leak', STEPS), '--output_dir', 'out-l'],
      [/--check_leak: 14 problems .*steps\.jsonl:1/],
    ],
    ['nothing to score', [...scoring, 'empty.jsonl'], [/empty\.jsonl: expected rows, found an empty file/]],
    [
      'words where there is no tokenizer',
      ['generate', '--base_model', 'no-words', '--prompt', 'p'],
      [/no-words: expected a tokenizer/],
    ],
    ['nothing to inspect', ['data', 'inspect', 'empty.jsonl'], [/empty\.jsonl: expected rows, found an empty file/]],
    ['a strict look at a bad row', ['data', 'inspect', halfRow, '--strict'], [/half-row\.jsonl:4: /]],
  ]
  test.concurrent.each(sampled(cases))('%s', async (_, args, says) => {
    expectRefusal(await command.run(args), 1, says)
  })

  test('a max_length that no step fits, with how many pairs it costs and where', async () => {
    const ended = await command.run([...model('model', '--max_length', '8'), '--output_dir', 'out-short'])
    expectRefusal(ended, 1, [/steps\.jsonl: no pair is left to train on/])
    expect(ended.stdout).toMatch(
      /^⚠ 123 of 123 pairs left out: .*longer than max_(prompt_)?length 8 \(first: steps\.jsonl:1\)$/m,
    )
  })

  test('an adapter of another rank', async () => {
    await calm
    mkdirSync(at('other-rank'))
    cpSync(at('calm', 'adapter_model.safetensors'), at('other-rank', 'adapter_model.safetensors'))
    const config = { ...JSON.parse(read('calm', 'adapter_config.json')), r: 8 }
    file('other-rank/adapter_config.json', JSON.stringify(config))
    expectRefusal(await command.run([...scoring, 'held.jsonl', '--adapter', 'other-rank']), 1, [
      /other-rank\/adapter_model\.safetensors: expected a tensor '\S+lora_A\.weight' \[8, 64\], found \[4, 64\]/,
    ])
  })

  test.skipIf(process.getuid?.() === 0)('a data file that may not be read', async () => {
    writeFileSync(at('secret.jsonl'), read(STEPS), { mode: 0 })
    expectRefusal(await command.run(data('secret.jsonl')), 1, [/secret\.jsonl/, /EACCES/])
  })

  test('numbers that are not finite, named in their update and never saved', async () => {
    const wild = ['--learning_rate', '1e30', '--warmup_ratio', '0', '--max_grad_norm', '0', '--save_steps', '1']
    const ended = await command.run([...training, '--max_steps', '5', '--output_dir', 'wild', ...wild])
    expectRefusal(ended, 1, [/update \d: .*(NaN|Infinity|not finite).*Nothing of this update was saved/])
    const failed = Number(/update (\d):/.exec(ended.stderr)?.[1])
    expect(listCheckpoints(at('wild')).map(({ update }) => update)).not.toContain(failed)
    expect(existsSync(at('wild', 'adapter_model.safetensors'))).toBe(false)
  })

  test('but a row that does not parse is only counted, with its place, where nobody asked for more', async () => {
    const report = JSON.parse(expectDone(await command.run(['data', 'inspect', halfRow, '--json'])))
    expect(report.audit.counts.rows).toMatchObject({ read: 15, used: 14, bad: 1 })
    const trained = expectDone(await command.run([...data(halfRow), '--output_dir', 'out-lenient']))
    expect(trained).toMatch(/^⚠ 1 of 15 rows left out: not JSON.*\(first: half-row\.jsonl:4\)$/m)
  })
})
