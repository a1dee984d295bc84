/** Encoding, trees, packing and order, on real tokenizer pieces and on random groups. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Group } from '../data/records.ts'
import { type EncodedGroup, type EncodeOptions, encodeGroups } from './encode.ts'
import { epochOrder, type OrderOptions, updateBatches, updatesPerEpoch } from './order.ts'
import { type PackedRow, packGroups, pairCount } from './pack.ts'
import type { Encoder } from './pieces.ts'
import { insertTokens, makeTree, shrinkTo } from './tree.ts'

/** A letter is a token; BOS is 1, the end of a turn 2, a newline 10. */
const letters: Encoder = {
  endOfTurnId: 2,
  chatPrompt: (messages) => [1, ...Buffer.from(messages.map(({ content }) => content).join('|')), 3],
  rawPrompt: (text) => [...Buffer.from(text.startsWith('\u0001') ? text : `\u0001${text}`)],
  encodeContinuation: (text) => [...Buffer.from(text)],
  encodeRenderedContinuation: (text) => [...Buffer.from(text.replaceAll('<end>', '\u0002'))],
}
const wide: EncodeOptions = {
  maxLength: 100,
  maxPromptLength: 100,
  maxRowTokens: 200,
  pairs: 'all',
  vocabularySize: 256,
}

function group(part: Partial<Group>): Group {
  return {
    problem: 'p',
    prompt: { messages: [{ role: 'user', content: 'Q' }] },
    prefix: [],
    separator: '\n',
    members: [
      { content: 'good', rating: 1, terminal: false, count: 1 },
      { content: 'bad', rating: -1, terminal: false, count: 1 },
    ],
    place: { file: 'f.jsonl', line: 7 },
    ...part,
  }
}

const text = (ids: readonly number[]) => Buffer.from(ids).toString()

describe('encoding', () => {
  test('a step is followed by its separator, a last step by the end of the turn, and nothing else is scored', () => {
    const members = [
      { content: 'go on', rating: 1, terminal: false, count: 1 },
      { content: 'stop', rating: -1, terminal: true, count: 1 },
    ]
    const { groups } = encodeGroups([group({ prefix: ['a', 'b'], members })], letters, wide)
    expect(groups[0].prefix.map(text)).toEqual(['\u0001Q\u0003', 'a\n', 'b\n'])
    expect(groups[0].members.map(text)).toEqual(['go on\n', 'stop\u0002'])
  })

  test('plain text gets BOS once, keeps tokens its maker wrote out, and no second end of turn', () => {
    const members = [
      { content: 'yes', rating: 1, terminal: true, count: 1 },
      { content: 'no<end>', rating: -1, terminal: true, count: 1 },
    ]
    const raw = group({ prompt: { raw: 'Q' }, separator: '', members })
    const { groups } = encodeGroups([raw, { ...raw, prompt: { raw: '\u0001Q' } }], letters, wide)
    expect(groups.map(({ prefix }) => text(prefix[0]))).toEqual(['\u0001Q', '\u0001Q'])
    expect(groups[0].members.map(text)).toEqual(['yes\u0002', 'no\u0002'])
  })

  test('token ids need no tokenizer and stay as they are; text without one is an error', () => {
    const ids = group({
      prompt: { raw: [5, 6] },
      members: [
        { content: [7], rating: 1, terminal: false, count: 1 },
        { content: [8, 9], rating: -1, terminal: false, count: 1 },
      ],
    })
    expect(encodeGroups([ids], undefined, wide).groups[0]).toMatchObject({ prefix: [[5, 6]], members: [[7], [8, 9]] })
    expect(() => encodeGroups([group({})], undefined, wide)).toThrow(/no tokenizer/)
  })

  test('a long prefix loses its oldest steps whole, never a part of one, never the prompt, never the step', () => {
    // Prompt 3 tokens; prefix steps 5, 5, 3; longest step 5: all of it is 21.
    const long = group({ prefix: ['aaaa', 'bbbb', 'cc'] })
    const cut = (maxLength: number) => encodeGroups([long], letters, { ...wide, maxLength })
    expect(cut(21).groups[0].prefix.map(text).slice(1)).toEqual(['aaaa\n', 'bbbb\n', 'cc\n'])
    expect(cut(20).groups[0].prefix.map(text).slice(1)).toEqual(['bbbb\n', 'cc\n'])
    expect(cut(20).truncated).toBe(1)
    expect(cut(8).groups[0].prefix.map(text)).toEqual(['\u0001Q\u0003'])
    expect(cut(8).groups[0].members.map(text)).toEqual(['good\n', 'bad\n'])
    const { groups, dropped } = cut(7)
    expect(groups).toEqual([])
    expect([...dropped]).toEqual([
      ['prompt and step are longer than max_length 7', { count: 1, places: [{ file: 'f.jsonl', line: 7 }] }],
    ])
  })

  test('a limit on the prompt, and one on rows, cut and drop too', () => {
    const long = group({ prefix: ['aaaa', 'bb'] })
    expect(
      encodeGroups([long], letters, { ...wide, maxPromptLength: 7 })
        .groups[0].prefix.map(text)
        .slice(1),
    ).toEqual(['bb\n'])
    expect(
      encodeGroups([long], letters, { ...wide, maxRowTokens: 15 })
        .groups[0].prefix.map(text)
        .slice(1),
    ).toEqual(['bb\n'])
    expect([...encodeGroups([long], letters, { ...wide, maxPromptLength: 2 }).dropped.keys()][0]).toMatch(
      /max_prompt_length 2/,
    )
    expect([...encodeGroups([long], letters, { ...wide, maxRowTokens: 11 }).dropped.keys()][0]).toMatch(
      /max_row_tokens 11/,
    )
  })

  test('a token id that the model does not know is counted, with the id', () => {
    const strange = group({ prompt: { raw: [5, 256] } })
    expect([...encodeGroups([strange], letters, wide).dropped.keys()]).toEqual([
      'a token id that the model does not know: 256',
    ])
  })

  test('pairs whose sides have the same tokens, or none, are counted with their weight', () => {
    const members = [
      { content: 'same', rating: 1, terminal: false, count: 2 },
      { content: 'same', rating: -1, terminal: false, count: 3 },
    ]
    const { groups, dropped } = encodeGroups([group({ members })], letters, wide)
    expect(groups).toEqual([])
    expect(dropped.get('both sides have the same tokens')?.count).toBe(6)
  })
})

describe('trees', () => {
  test('what is equal from the beginning is stored once, and what is taken back leaves no trace', () => {
    const tree = makeTree()
    expect(insertTokens(tree, -1, [5, 6, 7])).toEqual([0, 1, 2])
    expect(insertTokens(tree, -1, [5, 6, 8])).toEqual([0, 1, 3])
    expect(insertTokens(tree, 2, [9])).toEqual([4])
    expect(tree.parents).toEqual([-1, 0, 1, 1, 2])
    shrinkTo(tree, 3)
    expect(insertTokens(tree, -1, [5, 6, 8])).toEqual([0, 1, 3])
    expect(tree.ids).toEqual([5, 6, 7, 8])
  })
})

const idList = (most: number) => fc.array(fc.integer({ min: 3, max: 6 }), { minLength: 1, maxLength: most })

const encodedGroup: fc.Arbitrary<EncodedGroup> = fc
  .record({
    problem: fc.constantFrom('a', 'b', 'c'),
    prefix: fc.array(idList(4), { minLength: 1, maxLength: 3 }),
    members: fc.array(idList(4), { minLength: 2, maxLength: 5 }),
  })
  .map(({ problem, prefix, members }) => ({
    problem,
    prefix,
    members,
    pairs: members.slice(1).map((_, at) => ({ chosen: 0, rejected: at + 1, weight: at + 1 })),
  }))

/** All pairs as text: what comes before, chosen, rejected and weight. */
function pairsOfRows(rows: readonly PackedRow[]): string[] {
  return rows.flatMap(({ row, continuations, pairs }) =>
    pairs.map(({ chosen, rejected, weight }) => {
      const sides = [chosen, rejected].map((at) => {
        const nodes = Array.from(continuations[at], (token) => row.scored[token])
        const path: number[] = []
        for (let node = row.parents[nodes[0]]; node >= 0; node = row.parents[node]) path.push(row.ids[node])
        nodes.forEach((node, index) => {
          if (index > 0) expect(row.parents[node]).toBe(nodes[index - 1])
        })
        return `${path.reverse().join(' ')} > ${nodes.map((node) => row.ids[node]).join(' ')}`
      })
      return `${sides.join(' | ')} × ${weight}`
    }),
  )
}

function pairsOfGroups(groups: readonly EncodedGroup[]): string[] {
  return groups.flatMap(({ prefix, members, pairs }) =>
    pairs.map(({ chosen, rejected, weight }) => {
      const sides = [chosen, rejected].map((at) => `${prefix.flat().join(' ')} > ${members[at].join(' ')}`)
      return `${sides.join(' | ')} × ${weight}`
    }),
  )
}

describe('packing', () => {
  test('every pair stands in exactly one row with both its sides, whatever the size of rows', () => {
    fc.assert(
      fc.property(
        fc.array(encodedGroup, { maxLength: 8 }),
        fc.integer({ min: 20, max: 80 }),
        (groups, maxRowTokens) => {
          for (const packing of ['tree', 'none'] as const) {
            const rows = packGroups(groups, { packing, maxRowTokens })
            expect(pairsOfRows(rows).sort()).toEqual(pairsOfGroups(groups).sort())
            expect(pairCount(rows)).toBe(pairCount(groups))
            for (const { row } of rows) {
              expect(row.parents.every((parent, at) => parent < at)).toBe(true)
              if (packing === 'tree') expect(row.ids.length).toBeLessThanOrEqual(maxRowTokens)
            }
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('siblings and steps of one problem share their tokens; problems share a row, not a tree', () => {
    const pairs = [{ chosen: 0, rejected: 1, weight: 1 }]
    const groups = [
      { problem: 'a', prefix: [[9, 9]], members: [[3, 4], [5]], pairs },
      {
        problem: 'a',
        prefix: [
          [9, 9],
          [3, 4],
        ],
        members: [[6], [7]],
        pairs,
      },
      { problem: 'b', prefix: [[9, 9]], members: [[3], [4]], pairs },
    ]
    const [row, ...others] = packGroups(groups, { packing: 'tree', maxRowTokens: 100 })
    expect(others).toEqual([])
    expect([...row.row.ids]).toEqual([9, 9, 3, 4, 5, 6, 7, 9, 9, 3, 4])
    expect([...row.row.parents]).toEqual([-1, 0, 1, 2, 1, 3, 3, -1, 7, 8, 8])
  })

  test('plain pairs are two whole sequences a row', () => {
    const pairs = [{ chosen: 0, rejected: 1, weight: 1 }]
    const rows = packGroups([{ problem: 'a', prefix: [[9], [8]], members: [[3], [4]], pairs }], {
      packing: 'none',
      maxRowTokens: 1,
    })
    expect(rows).toHaveLength(1)
    expect([...rows[0].row.ids]).toEqual([9, 8, 3, 9, 8, 4])
    expect([...rows[0].row.parents]).toEqual([-1, 0, 1, -1, 3, 4])
    expect([...rows[0].row.scored]).toEqual([2, 5])
  })
})

describe('order', () => {
  const groups = Array.from({ length: 23 }, (_, at) => ({ problem: `p${Math.floor(at / 3)}` }))
  const options: OrderOptions = { batchSize: 2, accumulation: 3, shuffle: true, seed: 5 }

  test('an epoch has every group once, the groups of a problem one after another in file order', () => {
    for (const epoch of [0, 1, 2]) {
      const order = epochOrder(groups, epoch, options)
      expect([...order].sort((a, b) => a - b)).toEqual(groups.map((_, at) => at))
      const runs = order.filter((at, place) => place === 0 || groups[at].problem !== groups[order[place - 1]].problem)
      expect(runs).toHaveLength(8)
      order.forEach((at, place) => {
        if (place > 0 && groups[at].problem === groups[order[place - 1]].problem) expect(at).toBe(order[place - 1] + 1)
      })
    }
    expect(epochOrder(groups, 0, options)).not.toEqual(epochOrder(groups, 1, options))
    expect(epochOrder(groups, 0, options)).toEqual(epochOrder(groups, 0, options))
  })

  test('updates cut the epochs in order; the last of an epoch is smaller and the next begins anew', () => {
    expect(updatesPerEpoch(23, options)).toBe(4)
    const epochs = Array.from({ length: 8 }, (_, update) => updateBatches(groups, update, options))
    expect(epochs.slice(0, 4).flat(2)).toEqual(epochOrder(groups, 0, options))
    expect(epochs.slice(4).flat(2)).toEqual(epochOrder(groups, 1, options))
    expect(epochs[0].map((batch) => batch.length)).toEqual([2, 2, 2])
    expect(epochs[3].map((batch) => batch.length)).toEqual([2, 2, 1])
  })

  test('without shuffling it is the order of the file, starting over at the end', () => {
    const plain = { ...options, shuffle: false, accumulation: 1, batchSize: 10 }
    expect([0, 1, 2, 3].map((update) => updateBatches(groups, update, plain)[0][0])).toEqual([0, 10, 20, 0])
  })
})
