import fc from 'fast-check'
import { expect, test } from 'vitest'
import { detectFormat } from '../data/formats.ts'
import type { Group, Prompt } from '../data/records.ts'
import { addSolution, createSolutions, toGroups } from '../pair/merge.ts'
import { groupPairs } from '../pair/pairs.ts'
import { exportNote } from './export-notes.ts'
import { exportPair, pairExportNames, type TextPair, textPair } from './export-pairs.ts'
import { exportNames } from './export-rows.ts'

const place = { file: 'data.jsonl', line: 1 }
const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })
const names = pairExportNames

/** The pair that a row gives on its way into training: read by its columns, merged into a group. */
function reimport(row: object): TextPair {
  const reading = detectFormat(row)?.read(row, { neutral: 'drop', separator: '|' })
  if (reading === undefined || !('labelled' in reading)) throw new Error(`not labelled: ${JSON.stringify(reading)}`)
  const solutions = createSolutions()
  addSolution(solutions, reading.labelled, '1', place)
  const [group] = toGroups(solutions)
  const [pair] = groupPairs(group, 'all')
  const text = textPair(group, pair)
  if (text === undefined) throw new Error('not text')
  return text
}

/** What the policy sees: of plain text, where the prompt ends and the answer begins is not told. */
function flatten({ prompt, prefix, chosen, rejected }: TextPair): object {
  // A side that ends its solution is the whole of it, whether that is said or not.
  const [{ whole: _, ...better }, { whole: __, ...worse }] = [chosen, rejected]
  const sides = { chosen: better, rejected: worse }
  return 'raw' in prompt ? { text: `${prompt.raw}${prefix}`, ...sides } : { prompt, prefix, ...sides }
}

// Texts in which formats could see something of their own; a carriage return before a line end is none of them.
const text = fc
  .oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('Step 1:', ' ки\n', '\n\n', '+', ' a ', '<|end|>', '{"a":1}'))
  .map((content) => content.replaceAll('\r\n', '\n'))
  .filter((content) => content.trim() !== '')

const prompts: fc.Arbitrary<Prompt> = fc.oneof(
  text.map((raw) => ({ raw })),
  text.map((content) => ({ messages: [user(content)] })),
  fc.tuple(text, text, text).map(([system, first, last]) => ({
    messages: [{ role: 'system', content: system }, user(first), assistant('ok'), user(last)],
  })),
)

const side = fc.record({ text, terminal: fc.boolean() })

const pairs: fc.Arbitrary<TextPair> = fc
  .record({ prompt: prompts, prefix: fc.oneof(fc.constant(''), text), chosen: side, rejected: side })
  .filter(({ chosen, rejected }) => chosen.text !== rejected.text)

test.each(names)('what is written for %s comes back as the same pair, with the same ends', (name) => {
  let written = 0
  fc.assert(
    fc.property(pairs, (pair) => {
      const made = exportPair(pair, name, 'mark')
      if ('dropped' in made) return
      written++
      expect(flatten(reimport(JSON.parse(JSON.stringify(made.row))))).toEqual(flatten(pair))
    }),
    { numRuns: 150 },
  )
  expect(written).toBeGreaterThan(20)
})

test.each(['trl', 'llama-factory', 'ms-swift', 'axolotl', 'openrlhf'] as const)(
  'by default, %s gets no side that goes on',
  (name) => {
    const kept = (chosen: boolean, rejected: boolean, prefix = '') => {
      const ends = { chosen: { text: 'a', terminal: chosen }, rejected: { text: 'b', terminal: rejected } }
      return exportPair({ prompt: { messages: [user('q')] }, prefix, ...ends }, name, 'drop')
    }
    const goesOn = { dropped: 'a side goes on, and the trainer ends every side' }
    expect([kept(true, false), kept(false, true), kept(false, false)]).toEqual([goesOn, goesOn, goesOn])
    expect(kept(true, true)).toHaveProperty('row')
    expect(JSON.stringify(kept(true, true))).not.toContain('terminal')
    const begun = kept(true, true, 'so ')
    if (name === 'ms-swift') expect(begun).toHaveProperty('row')
    else expect(begun).toEqual({ dropped: 'the answer has begun, and the trainer closes or skips a begun answer' })
  },
)

test('rows are those that the trainers document', () => {
  const pair: TextPair = {
    prompt: { messages: [user('q')] },
    prefix: '',
    chosen: { text: 'a', terminal: true },
    rejected: { text: 'b', terminal: true },
  }
  const row = (name: (typeof names)[number], more: Partial<TextPair> = {}) =>
    exportPair({ ...pair, ...more }, name, 'drop')
  expect(row('trl')).toEqual({ row: { prompt: [user('q')], chosen: [assistant('a')], rejected: [assistant('b')] } })
  expect(row('trl', { prompt: { raw: 'Q: ' }, prefix: 'so ' })).toEqual({
    row: { prompt: 'Q: so ', chosen: 'a', rejected: 'b' },
  })
  expect(row('llama-factory')).toEqual({
    row: {
      conversations: [{ from: 'human', value: 'q' }],
      chosen: { from: 'gpt', value: 'a' },
      rejected: { from: 'gpt', value: 'b' },
    },
  })
  expect(row('axolotl')).toEqual({
    row: { messages: [user('q')], chosen: assistant('a'), rejected: assistant('b') },
  })
  expect(row('openrlhf')).toEqual(row('trl'))
  expect(row('ms-swift', { prefix: 'so ' })).toEqual({
    row: { messages: [user('q'), assistant('so '), assistant('a')], rejected_response: 'b' },
  })
  const goesOn = { prefix: 'Step 1:', rejected: { text: 'b', terminal: false } }
  expect(row('step-dpo', goesOn)).toEqual({
    row: {
      ...{ prompt: 'q', initial_reason_steps: 'Step 1:', chosen: 'a', rejected: 'b' },
      ...{ full_chosen: 'Step 1:a', full_rejected: '' },
    },
  })
  const known = { ...goesOn, rejected: { text: 'b', terminal: false, whole: 'b\nStep 2: c' } }
  expect(row('step-dpo', known)).toMatchObject({ row: { full_rejected: 'Step 1:b\nStep 2: c' } })
})

test('what a format has no place for is left out with its reason, marked or not', () => {
  const sides = { chosen: { text: 'a', terminal: true }, rejected: { text: 'b', terminal: true } }
  const reason = (prompt: Prompt, name: (typeof names)[number]) => {
    const made = exportPair({ prompt, prefix: '', ...sides }, name, 'mark')
    return 'dropped' in made ? made.dropped : undefined
  }
  for (const name of ['llama-factory', 'ms-swift'] as const) {
    expect(reason({ raw: 'q' }, name)).toBe('a prompt of plain text, not of messages')
    expect(reason({ messages: [user('q'), assistant('a')] }, name)).toBe('a prompt that ends with an answer')
  }
  expect(reason({ messages: [user('q'), user('r')] }, 'llama-factory')).toBe('a prompt whose turns do not alternate')
  expect(reason({ messages: [{ role: 'system', content: 's' }, user('q')] }, 'step-dpo')).toBe(
    'a prompt that is not one question',
  )
  const blank = { prompt: { messages: [user('q')] }, prefix: '', ...sides, chosen: { text: ' ', terminal: true } }
  expect(exportPair(blank, 'trl', 'mark')).toEqual({ dropped: 'a side without text' })
})

test('the text of a pair has the separator after each step and after each side that goes on', () => {
  const group: Group = {
    ...{ problem: 'q', prompt: { messages: [user('q')] }, prefix: ['one', 'two'], separator: '\n', place },
    members: [
      { content: 'three', rating: 1, terminal: false, count: 1 },
      { content: 'end', rating: -1, terminal: true, count: 1 },
    ],
  }
  const [pair] = groupPairs(group, 'all')
  expect(textPair(group, pair)).toEqual({
    ...{ prompt: group.prompt, prefix: 'one\ntwo\n' },
    ...{ chosen: { text: 'three\n', terminal: false }, rejected: { text: 'end', terminal: true } },
  })
  expect(textPair({ ...group, prompt: { raw: [1, 2] } }, pair)).toBeUndefined()
})

test('every trainer that ends all sides is said to, and how the rows keep it from teaching that', () => {
  for (const name of exportNames) {
    const isForced = !['trl-tokens', 'step-dpo', 'trl-stepwise'].includes(name)
    expect(exportNote(name, 'out.jsonl', 'drop').includes('left out'), name).toBe(isForced)
    expect(exportNote(name, 'out.jsonl', 'mark').includes('_terminal'), name).toBe(isForced)
  }
  const entry = exportNote('llama-factory', 'some/out.jsonl', 'drop').split('dataset_info.json: ')[1]
  expect(JSON.parse(entry)).toMatchObject({ stepdpo: { file_name: 'out.jsonl', ranking: true } })
})
