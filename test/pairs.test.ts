/** Rollouts → pairs with a real model and a real judge: whatever happens on the way, the files are the same. */
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { makeProblem } from '../demo/problems.ts'
import { encodeGroups } from '../src/batch/encode.ts'
import { pairSchema } from '../src/data/pair-row.ts'
import { rolloutSchema } from '../src/data/rollout.ts'
import type { StageEvent } from '../src/data/stage-events.ts'
import { loadGroups } from '../src/pair/groups.ts'
import { judgedRollout } from '../src/pair/judged.ts'
import { makePair, placeOf, stepSide } from '../src/pair/make-pair.ts'
import { generateFile } from '../src/recipe/generate-file.ts'
import { generateSchema } from '../src/recipe/generate-settings.ts'
import { makePairs } from '../src/recipe/pairs.ts'
import { pairsSchema } from '../src/recipe/pairs-settings.ts'
import { openPolicy } from '../src/recipe/policy.ts'
import { samplingOf } from '../src/recipe/sample.ts'
import type { World } from '../src/recipe/world.ts'
import { loadTokenizer } from '../src/text/tokenizer.ts'
import { folderMaker } from './folders.ts'
import { by, rolloutOf } from './judged-rollouts.ts'
import { isSlow } from './slow.ts'

const model = fileURLToPath(new URL('../demo/model', import.meta.url))
const makeFolder = folderMaker()
const root = makeFolder()

const problems = Array.from({ length: isSlow ? 12 : 3 }, (_, index) => makeProblem(7, 'pairs', index))
const questions = join(root, 'questions.jsonl')
writeFileSync(questions, problems.map(({ question, answer }) => `${JSON.stringify({ question, answer })}\n`).join(''))

function worldOf(signal: AbortSignal): World {
  return {
    now: () => new Date('2026-01-02T03:04:05Z'),
    seconds: () => performance.now() / 1000,
    environment: { STEPDPO_CACHE: join(root, 'cache') },
    signal,
  }
}

/** Begins again after each event that `stopsAt` names, until a run ends by itself. Gives the events of the last one. */
async function runStopping(
  start: (world: World) => AsyncGenerator<StageEvent>,
  stopsAt: readonly ((event: StageEvent) => boolean)[] = [],
  atStop: () => void = () => {},
): Promise<StageEvent[]> {
  for (const isStop of stopsAt) {
    const controller = new AbortController()
    const events: StageEvent[] = []
    for await (const event of start(worldOf(controller.signal))) {
      events.push(event)
      if (isStop(event)) controller.abort()
    }
    expect(events.at(-1)?.type).toBe('stage-stopped')
    atStop()
  }
  const events: StageEvent[] = []
  for await (const event of start(worldOf(new AbortController().signal))) events.push(event)
  return events
}

const isProgress = (stage: string, done: number) => (event: StageEvent) =>
  event.type === 'stage-progress' && event.stage === stage && event.done === done

function generateSettings(folder: string, batch_size: number) {
  const settings = { base_model: model, dataset_path: questions, output_dir: folder, threads: 1 }
  const parsed = generateSchema.parse({ ...settings, num_samples: 5, temperature: 1, max_new_tokens: 90, batch_size })
  return { ...parsed, dataset_path: questions }
}

function pairsSettings(folder: string, more: Partial<z.input<typeof pairsSchema>>) {
  const settings = { rollouts: join(folder, 'rollouts.jsonl'), output_dir: join(folder, 'pairs'), threads: 1 }
  return pairsSchema.parse({ ...settings, base_model: model, num_resamples: 3, max_new_tokens: 90, ...more })
}

/** The rollouts of both folders, made calmly in large batches, and in small ones with a stop and a torn line. */
const [calm, stormy] = [join(root, 'calm'), join(root, 'stormy')]
await runStopping((world) => generateFile(generateSettings(calm, 64), world))
mkdirSync(stormy)
await runStopping(
  (world) => generateFile(generateSettings(stormy, 7), world),
  [isProgress('generate', 4)],
  () => appendFileSync(join(stormy, 'rollouts.jsonl'), '{"id":"torn'),
)

const contentOf = (folder: string, name: string): string => readFileSync(join(folder, name), 'utf8')

function rowsOf<T>(schema: z.ZodType<T>, folder: string, name: string): T[] {
  return contentOf(folder, name)
    .trimEnd()
    .split('\n')
    .map((line) => schema.parse(JSON.parse(line)))
}

test('rollouts are the same bytes at another batch size, stopped, torn and gone on with', () => {
  expect(contentOf(stormy, 'rollouts.jsonl') === contentOf(calm, 'rollouts.jsonl')).toBe(true)
  expect(rowsOf(rolloutSchema, calm, 'rollouts.jsonl')).toHaveLength(5 * problems.length)
})

test('a file that was complete and not yet in order when its process died is put in order', async () => {
  const path = join(stormy, 'rollouts.jsonl')
  const lines = contentOf(stormy, 'rollouts.jsonl').trimEnd().split('\n')
  writeFileSync(
    path,
    lines
      .reverse()
      .map((line) => `${line}\n`)
      .join(''),
  )
  await runStopping((world) => generateFile(generateSettings(stormy, 7), world))
  expect(contentOf(stormy, 'rollouts.jsonl') === contentOf(calm, 'rollouts.jsonl')).toBe(true)
})

test('a rollout says what the policy was asked beside the problem, and what it was given to go on from', async () => {
  const folder = makeFolder()
  const more = { system_prompt: 'Be brief.', answer_start: 'So ', num_samples: 1, limit: 1, max_new_tokens: 3 }
  await runStopping((world) => generateFile({ ...generateSettings(folder, 7), ...more }, world))
  const [{ asked, given, completion, problem }] = rowsOf(rolloutSchema, folder, 'rollouts.jsonl')
  expect(asked).toEqual([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: problem },
  ])
  expect([given, completion.slice(0, given)]).toEqual([3, 'So '])
  const plain = rowsOf(rolloutSchema, calm, 'rollouts.jsonl')[0]
  expect([plain.asked, plain.given]).toEqual([undefined, undefined])
})

const reward_model = ['arithmetic']
const strategies: readonly (readonly [string, Partial<z.input<typeof pairsSchema>>])[] = [
  ['consensus', { locate: 'consensus', reward_model, verify: 'answer' }],
  ['step_dpo', { reward_model }],
  ['monte_carlo', { locate: 'monte_carlo', temperature: 1.2 }],
  ['siblings', { strategy: 'siblings', reward_model }],
  ['dpo', { strategy: 'dpo' }],
  ['scdpo', { strategy: 'scdpo', reward_model }],
]

describe('pairs', () => {
  // With consensus a judge is asked, prefixes are valued, and steps are chosen among continuations.
  test.each(isSlow ? strategies : strategies.slice(0, 1))(
    'of %s are the same bytes at another batch size, stopped while judging and sampling',
    async (name, more) => {
      const make = (folder: string, batch_size: number) => (world: World) =>
        makePairs({ ...pairsSettings(folder, more), output_dir: join(folder, name), batch_size }, world)
      const events = await runStopping(make(calm, 64))
      const seen = (stage: string) => events.some(isProgress(stage, 2))
      const stops = ['judge', 'pairs'].filter(seen).map((stage) => isProgress(stage, 2))
      await runStopping(make(stormy, 7), stops)
      const made = ['pairs.jsonl', ...(seen('pairs') ? ['continuations.jsonl'] : [])]
      for (const file of [...made, 'audit.json']) {
        expect(contentOf(join(stormy, name), file) === contentOf(join(calm, name), file), file).toBe(true)
      }
      expect(rowsOf(pairSchema, join(calm, name), 'pairs.jsonl').length).toBeGreaterThan(0)
    },
  )
})

test('every side of a pair is what a rollout wrote after the prefix, of which the record says where it is', () => {
  const folder = join(calm, 'consensus')
  const files = ['../rollouts.jsonl', 'continuations.jsonl'].flatMap((name) => rowsOf(rolloutSchema, folder, name))
  const byId = new Map(files.map((rollout) => [rollout.id, rollout]))
  for (const { prompt, prefix, chosen, rejected, provenance, answer } of rowsOf(pairSchema, folder, 'pairs.jsonl')) {
    const [better, worse] = [byId.get(provenance.chosen.rollout), byId.get(provenance.rejected.rollout)]
    expect(better?.completion.startsWith(prefix + chosen)).toBe(true)
    expect(worse?.completion.startsWith(prefix + rejected)).toBe(true)
    expect([better?.problem, worse?.problem]).toEqual([prompt, prompt])
    expect(better).toMatchObject({ answer, final_answer_correct: true, maker: provenance.chosen.maker })
    expect(worse).toMatchObject({ answer, final_answer_correct: false, maker: provenance.rejected.maker })
  }
})

const tokenizer = loadTokenizer(model)

/** The tokens of pairs, as `train` has them. */
async function encodePairs(path: string) {
  const { format, groups } = await loadGroups(path, { neutral: 'drop', separator: '\n', strict: true })
  expect(format).toBe('pairs')
  const most = { maxLength: 512, maxPromptLength: 512, maxRowTokens: 1024 }
  return encodeGroups(groups, tokenizer, { ...most, pairs: 'all', vocabularySize: 1e6 }).groups
}

test('train reads pairs as they were asked and answered, to the token', async () => {
  const folder = makeFolder()
  const asked = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'p' },
  ]
  const given = { asked, given: 'He has '.length }
  const rollouts = [
    rolloutOf('He has 5 pens.\nThe answer is 5.', { ...given, final_answer_correct: true }),
    rolloutOf('He has 7 pens.\nThe answer is 7.', given),
  ]
  writeFileSync(join(folder, 'rollouts.jsonl'), rollouts.map((rollout) => `${JSON.stringify(rollout)}\n`).join(''))
  await runStopping((world) => makePairs(pairsSettings(folder, { strategy: 'dpo' }), world))
  const [encoded] = await encodePairs(join(folder, 'pairs', 'pairs.jsonl'))
  // As a policy has them before it: the template of all messages, and what it is given to go on from.
  const before = [...tokenizer.chatPrompt(asked), ...tokenizer.encodeContinuation('He has ')]
  expect(encoded.prefix.flat()).toEqual(before)
  const sides = ['5 pens.\nThe answer is 5.', '7 pens.\nThe answer is 7.']
  expect(encoded.members).toEqual(sides.map((side) => [...tokenizer.encodeContinuation(side), tokenizer.endOfTurnId]))
})

test('prefix and step have the tokens that were sampled, and the end of a solution the one that ended it', async () => {
  const { signal } = new AbortController()
  const policy = await openPolicy(generateSettings(calm, 8), worldOf(signal))
  const messages = [{ role: 'user', content: problems[0].question }]
  const requests = [0, 1, 2].map((sample) => ({ id: 'q', prompt: { messages }, continued: '', sample }))
  const path = join(makeFolder(), 'pairs.jsonl')
  const sampled: (readonly number[])[] = []
  const rows: string[] = []
  for await (const { text, ids, finish } of policy.generator.generate(
    requests,
    samplingOf(generateSettings(calm, 8)),
    signal,
  )) {
    const judged = judgedRollout(rolloutOf(text, { finish, problem: problems[0].question }))
    for (const step of judged.spans.keys()) {
      const side = stepSide(judged, step, 'rollout')
      const other = { ...side, content: 'other', terminal: false }
      rows.push(`${JSON.stringify(makePair(placeOf(judged, step), side, other, { ...by, why: '' }))}\n`)
      sampled.push(ids)
    }
  }
  await policy.dispose()
  writeFileSync(path, rows.join(''))
  const encoded = await encodePairs(path)
  expect(encoded.length).toBeGreaterThan(6)
  encoded.forEach(({ prefix, members }, at) => {
    const tokens = [...prefix.flat(), ...members[0]]
    const written = [...tokenizer.chatPrompt(messages), ...sampled[at], tokenizer.endOfTurnId]
    expect(tokens).toEqual(written.slice(0, tokens.length))
    const isLast = at === encoded.length - 1 || sampled[at + 1] !== sampled[at]
    expect(tokens.length === written.length).toBe(isLast)
  })
})

test('no prompt has more pairs than it may have, and what is left out is counted', async () => {
  const folder = makeFolder()
  const rollouts = ['p', 'q'].flatMap((problem) => [
    rolloutOf('5', { problem, final_answer_correct: true }),
    ...['1', '2', '3'].map((text) => rolloutOf(text, { problem })),
  ])
  writeFileSync(join(folder, 'rollouts.jsonl'), rollouts.map((rollout) => `${JSON.stringify(rollout)}\n`).join(''))
  await runStopping((world) => makePairs(pairsSettings(folder, { strategy: 'dpo', max_pairs_per_prompt: 2 }), world))
  const prompts = rowsOf(pairSchema, join(folder, 'pairs'), 'pairs.jsonl').map(({ prompt }) => prompt)
  expect(prompts).toEqual(['p', 'p', 'q', 'q'])
  const { dropped } = JSON.parse(contentOf(join(folder, 'pairs'), 'audit.json'))
  expect(dropped).toEqual({ 'more than max_pairs_per_prompt': 2 })
})

describe('what goes wrong', () => {
  const failing = async (more: Partial<z.input<typeof pairsSchema>>, output_dir = makeFolder()) =>
    runStopping((world) => makePairs({ ...pairsSettings(calm, more), output_dir }, world))

  test.each([
    [{}, /--reward_model is missing.*monte_carlo/],
    [{ strategy: 'siblings' } as const, /--reward_model is missing/],
    [{ strategy: 'scdpo', verify: 'both' } as const, /--reward_model is missing/],
    [{ strategy: 'scdpo', base_model: undefined } as const, /--base_model is missing/],
    [{ locate: 'monte_carlo', num_resamples: 0 } as const, /--num_resamples: expected 1 at least/],
    [{ strategy: 'dpo', check_leak: questions } as const, /\d+ problems stand in/],
  ])('%o is refused', async (more, message) => {
    await expect(failing(more)).rejects.toThrow(message)
  })

  test('where all rollouts are wrong or all right it says what to change, and leaves no pairs of other settings', async () => {
    const all = rowsOf(rolloutSchema, calm, 'rollouts.jsonl')
    for (const [isRight, advice] of [
      [false, /All \d+ rollouts are wrong: take easier problems/],
      [true, /All \d+ rollouts are right: take harder problems/],
    ] as const) {
      const folder = makeFolder()
      const rollouts = join(folder, 'rollouts.jsonl')
      const some = all.filter(({ final_answer_correct }) => final_answer_correct === isRight)
      writeFileSync(rollouts, some.map((rollout) => `${JSON.stringify(rollout)}\n`).join(''))
      writeFileSync(join(folder, 'pairs.jsonl'), 'of other settings')
      await expect(failing({ strategy: 'dpo', rollouts }, folder)).rejects.toThrow(advice)
      expect(() => contentOf(folder, 'pairs.jsonl')).toThrow('ENOENT')
      expect(JSON.parse(contentOf(folder, 'audit.json'))).toMatchObject({ pairs: 0, rollouts: some.length })
    }
  })
})
