import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { writeTinyModel } from '../../scripts/tiny-model.ts'
import { folderMaker } from '../../test/folders.ts'
import { isSlow } from '../../test/slow.ts'
import type { Group } from '../data/records.ts'
import { exportNames, isMemberExport } from '../interop/export-rows.ts'
import { loadGroups } from '../pair/groups.ts'
import { groupPairs } from '../pair/pairs.ts'
import { convertSchema } from './command-settings.ts'
import { convert } from './convert.ts'

const makeFolder = folderMaker()

function write(rows: readonly object[]): string {
  const path = join(makeFolder(), 'data.jsonl')
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return path
}

function run(dataset_path: string, to: string, more: object = {}) {
  const output_path = join(makeFolder(), 'new/out.jsonl')
  return { path: output_path, done: convert(convertSchema.parse({ dataset_path, to, output_path, ...more })) }
}

const read = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

/** The rows as the trainer sees them. */
const shown = (path: string): object[] => read(path).map(({ stepdpo: _, ...row }) => row)

const load = async (path: string): Promise<readonly Group[]> =>
  (await loadGroups(path, { neutral: 'drop', separator: '\n', strict: true })).groups

/** All pairs of groups as text, as often as they count, in order. */
function texts(groups: readonly Group[]): string[] {
  const side = ({ members, separator }: Group, at: number): string =>
    `${members[at].content}${members[at].terminal ? '' : separator} ends ${members[at].terminal}`
  return groups
    .flatMap((group) =>
      groupPairs(group, 'all').flatMap(({ chosen, rejected, weight }) => {
        const before = JSON.stringify(group.prompt) + group.prefix.map((step) => `${step}${group.separator}`).join('')
        return Array<string>(weight).fill([before, side(group, chosen), side(group, rejected)].join(' / '))
      }),
    )
    .sort()
}

// Two solutions that part at their second step, of which the second was seen twice; a third ends differently.
const solution = (steps: readonly string[], labels: readonly boolean[]) => ({
  prompt: '1+1?',
  completions: steps,
  labels,
})
const steps = [
  solution(['a', 'b', 'c'], [true, true, true]),
  solution(['a', 'x', 'y'], [true, false, false]),
  solution(['a', 'x', 'z'], [true, false, false]),
  solution(['a', 'b', 'd'], [true, true, false]),
]

test.each(['step-dpo', 'trl', 'llama-factory', 'ms-swift', 'axolotl', 'openrlhf'])(
  'pairs written for %s, going on or not, load as they were',
  async (to) => {
    const source = write(steps)
    const { path, done } = run(source, to, { unfinished: 'mark' })
    // b above x, four times as both were seen twice; c above d, both of which end the solution.
    expect(await done).toMatchObject({ format: 'stepwise', rows: 5 })
    const before = await load(source)
    expect(texts(before)).toHaveLength(5)
    expect(texts(await load(path))).toEqual(texts(before))
  },
)

test('a trainer that ends every side gets the pairs that end, and is told how many others were left out', async () => {
  const { path, done } = run(write(steps), 'ms-swift')
  const { rows, dropped } = await done
  expect(rows).toBe(1)
  expect([...dropped].map(([, { count }]) => count)).toEqual([4])
  expect(shown(path)).toEqual([
    {
      messages: [
        { role: 'user', content: '1+1?' },
        { role: 'assistant', content: 'a\nb\n' },
        { role: 'assistant', content: 'c' },
      ],
      rejected_response: 'd',
    },
  ])
})

test('completions are written one by one, also where nothing better or worse stands beside them', async () => {
  const source = write([...steps, { prompt: '2+2?', completions: ['4'], labels: [true] }])
  const stepwise = run(source, 'trl-stepwise')
  // Four times a; b and x twice each; c, y is behind a wrong step, d; 4.
  expect(await stepwise.done).toMatchObject({ rows: 11 })
  expect(shown(stepwise.path).slice(-3)).toEqual([
    { prompt: '1+1?', completions: ['a', 'b', 'c'], labels: [true, true, true] },
    { prompt: '1+1?', completions: ['a', 'b', 'd'], labels: [true, true, false] },
    { prompt: '2+2?', completions: ['4'], labels: [true] },
  ])
  const unpaired = run(source, 'trl-unpaired')
  const done = await unpaired.done
  expect(done.rows).toBe(1)
  expect([...done.dropped].map(([reason, { count }]) => [reason.slice(0, 22), count])).toEqual([
    ['a completion goes on, ', 8],
    ['the answer has begun, ', 2],
  ])
  expect(shown(unpaired.path)).toEqual([
    {
      prompt: [{ role: 'user', content: '2+2?' }],
      completion: [{ role: 'assistant', content: '4' }],
      label: true,
    },
  ])
})

test('where no pair can be written, the reasons are said, and what stood there before still does', async () => {
  const source = write(steps)
  const output_path = join(makeFolder(), 'out.jsonl')
  writeFileSync(output_path, 'old')
  const { done } = run(source, 'llama-factory', { output_path })
  await expect(done).rejects.toThrow(
    /no pair can be written for llama-factory, 4 left out \(a side goes on.*\), 1 left out \(the answer has begun/,
  )
  expect(readFileSync(output_path, 'utf8')).toBe('old')
  await expect(run(source, 'step-dpo', { output_path: source }).done).rejects.toThrow('is the data set itself')
  expect(existsSync(source)).toBe(true)
  expect(readdirSync(join(output_path, '..'))).toEqual(['out.jsonl'])
})

test('a small file whose texts pair more often than any disk holds is refused before it is written', async () => {
  const rows = [1, -1].flatMap((label) => Array(3200).fill(solution([label > 0 ? 'a' : 'b'], [label > 0])))
  const { path, done } = run(write(rows), 'step-dpo')
  await expect(done).rejects.toThrow('more than 10000000 rows')
  expect(existsSync(path)).toBe(false)
})

test('tokens have an end of turn where a side ends its solution and nowhere else, and load as they are', async () => {
  const model = join(makeFolder(), 'model')
  writeTinyModel(model, 1)
  const { path, done } = run(write(steps), 'trl-tokens', { base_model: model })
  expect(await done).toMatchObject({ rows: 5 })
  // A tokenizer of bytes, then <|pad|> <|user|> <|assistant|> <|end|>.
  const [user, assistant, end] = [257, 258, 259]
  const bytes = (text: string) => [...Buffer.from(text)]
  const prompt = [user, ...bytes('1+1?'), assistant, ...bytes('a\n')]
  const goesOn = { prompt_ids: prompt, chosen_ids: bytes('b\n'), rejected_ids: bytes('x\n') }
  expect(shown(path)).toEqual([
    ...Array(4).fill(goesOn),
    {
      prompt_ids: [...prompt, ...bytes('b\n')],
      chosen_ids: [...bytes('c'), end],
      rejected_ids: [...bytes('d'), end],
    },
  ])
  const groups = await load(path)
  const begun = [user, ...bytes('1+1?'), assistant]
  expect(groups.map(({ prompt, prefix }) => ({ prompt, prefix }))).toEqual([
    { prompt: { raw: begun }, prefix: [bytes('a\n')] },
    { prompt: { raw: begun }, prefix: [bytes('a\n'), bytes('b\n')] },
  ])
  expect(groups[0].members.map(({ count }) => count)).toEqual([2, 2])
  expect(groups[1].members.map(({ content, terminal }) => ({ content, terminal }))).toEqual([
    { content: [...bytes('c'), end], terminal: true },
    { content: [...bytes('d'), end], terminal: true },
  ])
  const again = run(path, 'trl-tokens')
  await again.done
  expect(shown(again.path)).toEqual(shown(path))
  const third = run(again.path, 'trl-tokens')
  await third.done
  expect(read(third.path)).toEqual(read(again.path))
  await expect(run(path, 'trl').done).rejects.toThrow('5 left out (token ids, not text)')
  await expect(run(write(steps), 'trl-tokens').done).rejects.toThrow('--base_model')
})

const PRM800K = join(import.meta.dirname, '../../../shared/data/prm800k/phase1_test.jsonl')

describe.skipIf(!isSlow || !existsSync(PRM800K))('real solutions', () => {
  const bare = (groups: readonly Group[]) => groups.map(({ place: _, ...group }) => group)

  test.each(exportNames.filter((name) => name !== 'trl-tokens'))(
    'PRM800K written for %s loads as it was',
    async (to) => {
      const { path, done } = run(PRM800K, to, { unfinished: 'mark' })
      await done
      const wanted = isMemberExport(to) ? 'members' : 'preferences'
      const options = { neutral: 'drop', separator: '\n', strict: true, wanted } as const
      const before = await loadGroups(PRM800K, options)
      expect(bare((await loadGroups(path, options)).groups)).toEqual(bare(before.groups))
    },
  )
})
