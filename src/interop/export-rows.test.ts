import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { isSlow } from '../../test/slow.ts'
import type { Group, Member, Prompt, Segment } from '../data/records.ts'
import { loadGroups } from '../pair/groups.ts'
import type { Tallies } from '../pair/tally.ts'
import {
  type ExportName,
  exportNames,
  isMemberExport,
  memberRows,
  pairRows,
  tokenRows,
  type Weighted,
} from './export-rows.ts'

const makeFolder = folderMaker()

// Texts in which a format could see something of its own.
const SPECIAL = ['Step 1:', ' ки\n', '\n\n', '+', ' a ', '<|end|>', '{"a":1}', 'a\r\nb', '__proto__', '\u2028', '😀']

const text = fc
  .oneof(fc.string({ unit: 'grapheme', maxLength: 6 }), fc.constantFrom(...SPECIAL))
  .filter((content) => content.trim() !== '')

const ids = fc.array(fc.nat(50_000), { minLength: 1, maxLength: 4 })

const user = (content: string) => ({ role: 'user', content })

const question: fc.Arbitrary<Prompt> = text.map((content) => ({ messages: [user(content)] }))

const talk: fc.Arbitrary<Prompt> = fc.tuple(text, text, text).map(([system, first, last]) => ({
  messages: [{ role: 'system', content: system }, user(first), { role: 'assistant', content: 'ok' }, user(last)],
}))

const raw: fc.Arbitrary<Prompt> = text.map((content) => ({ raw: content }))

const score = fc.double({ min: 0, max: 1, noNaN: true })

// JSON has no −0.
const weight = fc.double({ noNaN: true, min: -9, max: 9 }).map((value) => value + 0)

const solution = fc.record({
  steps: fc.array(
    fc.record({
      content: text,
      score: fc.option(score),
      weight: fc.option(weight),
    }),
    { maxLength: 3 },
  ),
  terminal: fc.boolean(),
})

const known = fc.record(
  {
    rating: fc.constantFrom(-1, -0.5, 0, 0.25, 1),
    terminal: fc.boolean(),
    count: fc.integer({ min: 1, max: 2 }),
    score,
    solution,
  },
  { requiredKeys: ['rating', 'terminal', 'count'] },
)

const textMember: fc.Arbitrary<Member> = fc.tuple(text, known).map(([content, rest]) => ({ content, ...rest }))

const idMember: fc.Arbitrary<Member> = fc
  .tuple(ids, known, fc.option(fc.array(fc.double({ noNaN: true, min: 0.1, max: 3 }), { minLength: 4, maxLength: 4 })))
  .map(([content, rest, weights]) => ({
    ...{ content, ...rest },
    ...(weights !== null && { tokenWeights: weights.slice(0, content.length) }),
  }))

const nameOf = (content: Segment): string => String(content)

const PROMPTS: { readonly [N in ExportName]: fc.Arbitrary<Prompt> } = {
  trl: fc.oneof(question, talk, raw),
  openrlhf: fc.oneof(question, talk, raw),
  axolotl: fc.oneof(question, talk),
  'trl-unpaired': fc.oneof(question, talk, raw),
  'ms-swift': fc.oneof(question, talk),
  'llama-factory': fc.oneof(question, talk),
  'step-dpo': question,
  'trl-stepwise': question,
  'trl-tokens': ids.map((content) => ({ raw: content })),
}

/** Groups that the format has a place for; what has none is left out with its reason, in other tests. */
function groupsFor(to: ExportName): fc.Arbitrary<Omit<Group, 'problem' | 'place'>> {
  const isIds = to === 'trl-tokens'
  const step: fc.Arbitrary<Segment> = isIds ? ids : text
  return fc.record({
    prompt: PROMPTS[to],
    prefix: fc.array(step, { maxLength: 3 }),
    separator: fc.constantFrom('\n', '', '\n\n', ' ки\n', '\r\n'),
    members: fc
      .uniqueArray<Member, string>(isIds ? idMember : textMember, {
        minLength: 2,
        maxLength: 5,
        selector: ({ content }) => nameOf(content),
      })
      .filter((members) => isMemberExport(to) || members.some(({ rating }) => rating !== members[0].rating)),
  })
}

function rowsFor(groups: readonly Group[], to: ExportName, dropped: Tallies): Generator<Weighted> {
  const options = { pairs: 'all', unfinished: 'mark', dropped } as const
  if (isMemberExport(to)) return memberRows(groups, to, options)
  if (to !== 'trl-tokens') return pairRows(groups, to, options)
  return tokenRows(groups, { tokenizer: undefined, vocabularySize: 100_000 }, options)
}

const GROUPS = isSlow ? 1000 : 100

test.each(exportNames)('random groups written for %s are read again as they were', async (to) => {
  const sampled = fc.sample(groupsFor(to), { numRuns: GROUPS, seed: 6 })
  const groups: Group[] = sampled.map((group, at) => ({ problem: '', place: { file: 'x', line: at }, ...group }))
  const dropped: Tallies = new Map()
  const path = join(makeFolder(), 'rows.jsonl')
  const lines = [...rowsFor(groups, to, dropped)].flatMap(({ row, weight }) =>
    Array<string>(weight).fill(`${JSON.stringify(row)}\n`),
  )
  writeFileSync(path, lines.join(''))
  expect([...dropped]).toEqual([])
  const wanted = isMemberExport(to) ? 'members' : 'preferences'
  const loaded = await loadGroups(path, { neutral: 'drop', separator: '|', strict: true, wanted })
  loaded.groups.forEach(({ place: _, problem: __, ...group }, at) => {
    expect(group, `group ${at}`).toEqual(sampled[at])
  })
  expect(loaded.groups).toHaveLength(sampled.length)
  expect(loaded.counts.members).toMatchObject({ used: loaded.counts.members.read })
})

test('a row whose text was changed afterwards is bad, not a group with other steps', async () => {
  const group: Group = {
    ...{ problem: 'q', prompt: { messages: [user('q')] }, prefix: ['one', 'two'], separator: '\n' },
    ...{ place: { file: 'x', line: 1 } },
    members: [
      { content: 'a', rating: 1, terminal: false, count: 1 },
      { content: 'b', rating: -1, terminal: true, count: 1 },
    ],
  }
  const [{ row }] = rowsFor([group], 'step-dpo', new Map())
  const path = join(makeFolder(), 'rows.jsonl')
  const load = (more: object) => {
    writeFileSync(path, `${JSON.stringify({ ...row, ...more })}\n`)
    return loadGroups(path, { neutral: 'drop', separator: '|', strict: true })
  }
  expect((await load({})).groups[0].prefix).toEqual(['one', 'two'])
  const other = 'the text of the row is not the one it was written for'
  await expect(load({ initial_reason_steps: 'one\ntwo \n' })).rejects.toThrow(other)
  await expect(load({ initial_reason_steps: 'on\netwo\n' })).rejects.toThrow(other)
  await expect(load({ chosen: 'a' })).rejects.toThrow(other)
  // What still fits is what the row says now.
  expect((await load({ chosen: 'c\n' })).groups[0].members[0].content).toBe('c')
  const column = (change: object) => ({ stepdpo: JSON.stringify({ ...JSON.parse(String(row.stepdpo)), ...change }) })
  await expect(load(column({ prefix: [4, 1e9] }))).rejects.toThrow(other)
  await expect(load(column({ prefix: [-4, 12] }))).rejects.toThrow('stepdpo: prefix.0')
  await expect(load(column({ members: [] }))).rejects.toThrow(other)
  await expect(load(column({ members: Array(1e4).fill({}) }))).rejects.toThrow('a list of at most 2')
  await expect(load({ stepdpo: '{' })).rejects.toThrow('stepdpo:')
  await expect(load({ stepdpo: { group: 'g' } })).rejects.toThrow('stepdpo:')
  await expect(load({ stepdpo: '['.repeat(1e5) })).rejects.toThrow('stepdpo:')
  expect((await load({ stepdpo: null })).groups[0].prefix).toEqual(['one\ntwo\n'])
  expect(Object.hasOwn(Object.prototype, 'group')).toBe(false)
})
