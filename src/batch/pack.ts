/**
 * @file Groups → rows: the groups of a problem become token trees of at most so many tokens, several trees fill a row.
 * Every pair stands in exactly one row, with both its sides.
 */
import type { Row } from '../model/row.ts'
import type { GroupPair } from '../pair/pairs.ts'
import type { EncodedGroup } from './encode.ts'
import type { Ids } from './pieces.ts'
import { insertTokens, makeTree, shrinkTo, type TokenTree } from './tree.ts'

/** Trees of groups, or each side of each pair as a sequence of its own, as TRL has them. */
export type Packing = 'tree' | 'none'

export interface PackOptions {
  readonly packing: Packing
  readonly maxRowTokens: number
}

/** A pair of a group. Its members are given as indices of continuations. */
export type PackedPair = GroupPair

/** The member of a group that a continuation is. */
export interface Source {
  readonly group: EncodedGroup
  readonly member: number
}

export interface PackedRow {
  readonly row: Row
  /** For each continuation, its tokens as indices into `row.scored`, in order. */
  readonly continuations: readonly Int32Array[]
  /** Of each continuation. */
  readonly sources: readonly Source[]
  readonly pairs: readonly PackedPair[]
}

/** A microbatch with the rows that it became. */
export interface PackedBatch {
  readonly groups: readonly EncodedGroup[]
  readonly rows: readonly PackedRow[]
}

export function packBatches(
  batches: readonly (readonly EncodedGroup[])[],
  pack: (groups: readonly EncodedGroup[]) => readonly PackedRow[],
): PackedBatch[] {
  return batches.map((groups) => ({ groups, rows: pack(groups) }))
}

/** A tree under construction, with the nodes of what it holds. */
interface Planting {
  readonly tree: TokenTree
  readonly continuations: number[][]
  readonly sources: Source[]
  readonly pairs: PackedPair[]
}

function startPlanting(): Planting {
  return { tree: makeTree(), continuations: [], sources: [], pairs: [] }
}

/**
 * Adds members of a group, each once; changes nothing where the tree would grow over `limit`.
 * @returns the continuation that each became.
 */
function plantMembers(
  { tree, continuations, sources }: Planting,
  group: EncodedGroup,
  wanted: Iterable<number>,
  limit: number,
): ReadonlyMap<number, number> | undefined {
  const { prefix, members } = group
  const size = tree.ids.length
  let below = -1
  for (const piece of prefix) below = insertTokens(tree, below, piece).at(-1) ?? below
  const paths = new Map<number, number[]>()
  for (const member of wanted) paths.set(member, insertTokens(tree, below, members[member]))
  if (tree.ids.length > limit) {
    shrinkTo(tree, size)
    return undefined
  }
  return new Map(
    [...paths].map(([member, path]) => {
      sources.push({ group, member })
      return [member, continuations.push(path) - 1]
    }),
  )
}

/** Adds pairs of a group; changes nothing and says no where the tree would grow over `limit`. */
function plant(planting: Planting, group: EncodedGroup, pairs: readonly GroupPair[], limit: number): boolean {
  const wanted = new Set(pairs.flatMap(({ chosen, rejected }) => [chosen, rejected]))
  const places = plantMembers(planting, group, wanted, limit)
  if (places === undefined) return false
  plantPairs(planting, pairs, places)
  return true
}

/** Adds the pairs whose members both stand in the tree, given where. */
function plantPairs(planting: Planting, pairs: readonly GroupPair[], places: ReadonlyMap<number, number>): void {
  for (const pair of pairs) {
    const [chosen, rejected] = [places.get(pair.chosen), places.get(pair.rejected)]
    if (chosen !== undefined && rejected !== undefined) planting.pairs.push({ ...pair, chosen, rejected })
  }
}

/** The trees of one problem. A group that fits no tree whole is spread over several, pair by pair. */
function plantProblem(groups: readonly EncodedGroup[], limit: number): Planting[] {
  const trees: Planting[] = [startPlanting()]
  const current = (): Planting => trees[trees.length - 1]
  const plantAnew = (group: EncodedGroup, pairs: readonly GroupPair[]): boolean => {
    if (current().pairs.length > 0) trees.push(startPlanting())
    return plant(current(), group, pairs, limit)
  }
  for (const group of groups) {
    if (plant(current(), group, group.pairs, limit) || plantAnew(group, group.pairs)) continue
    for (const pair of group.pairs) {
      if (plant(current(), group, [pair], limit) || plantAnew(group, [pair])) continue
      throw new Error(`pack: a pair of ${group.problem} is longer than ${limit} tokens`)
    }
  }
  return trees.filter((tree) => tree.pairs.length > 0)
}

/** Fills rows with trees, the largest first, each into the first row that has room. */
function fillRows(trees: readonly Planting[], limit: number): Planting[][] {
  const rows: { trees: Planting[]; tokens: number }[] = []
  const order = trees.toSorted((a, b) => b.tree.ids.length - a.tree.ids.length)
  for (const tree of order) {
    const tokens = tree.tree.ids.length
    const row = rows.find((candidate) => candidate.tokens + tokens <= limit)
    if (row === undefined) rows.push({ trees: [tree], tokens })
    else {
      row.trees.push(tree)
      row.tokens += tokens
    }
  }
  return rows.map((row) => row.trees)
}

/** Lays trees side by side. */
function layRow(trees: readonly Planting[]): PackedRow {
  const ids: number[] = []
  const parents: number[] = []
  const nodes: number[][] = []
  const pairs: PackedPair[] = []
  for (const { tree, continuations, pairs: own } of trees) {
    const start = ids.length
    const first = nodes.length
    for (const id of tree.ids) ids.push(id)
    for (const parent of tree.parents) parents.push(parent < 0 ? -1 : parent + start)
    for (const path of continuations) nodes.push(path.map((node) => node + start))
    for (const pair of own) pairs.push({ ...pair, chosen: pair.chosen + first, rejected: pair.rejected + first })
  }
  const scored = Int32Array.from(new Set(nodes.flat())).sort()
  const place = new Map(Array.from(scored, (node, at) => [node, at]))
  return {
    row: { ids: Int32Array.from(ids), parents: Int32Array.from(parents), scored },
    continuations: nodes.map((path) => Int32Array.from(path, (node) => place.get(node) ?? -1)),
    sources: trees.flatMap(({ sources }) => sources),
    pairs,
  }
}

/** A row with the two sides of one pair, each with its own prefix. */
function layPair(group: EncodedGroup, pair: GroupPair): PackedRow {
  const side = (member: number): Planting => {
    const planting = startPlanting()
    plantMembers(planting, group, [member], Number.POSITIVE_INFINITY)
    return planting
  }
  const row = layRow([side(pair.chosen), side(pair.rejected)])
  return { ...row, pairs: [{ ...pair, chosen: 0, rejected: 1 }] }
}

/** The rows of some groups. Consecutive groups on one problem share trees. */
export function packGroups(groups: readonly EncodedGroup[], { packing, maxRowTokens }: PackOptions): PackedRow[] {
  if (packing === 'none') return groups.flatMap((group) => group.pairs.map((pair) => layPair(group, pair)))
  const trees = [...byProblem(groups).values()].flatMap((own) => plantProblem(own, maxRowTokens))
  return fillRows(trees, maxRowTokens).map(layRow)
}

function byProblem(groups: readonly EncodedGroup[]): ReadonlyMap<string, readonly EncodedGroup[]> {
  const problems = new Map<string, EncodedGroup[]>()
  for (const group of groups) {
    const known = problems.get(group.problem)
    if (known === undefined) problems.set(group.problem, [group])
    else known.push(group)
  }
  return problems
}

/** A continuation of some tokens that is to be scored. */
export interface Continuation {
  readonly prefix: Ids
  readonly content: Ids
}

/** One row with continuations that are no pairs, in order. Those with a common beginning share it. */
export function packContinuations(items: readonly Continuation[]): PackedRow {
  const planting = startPlanting()
  for (const { prefix, content } of items) {
    const group = { problem: '', prefix: [prefix], members: [content], pairs: [] }
    plantMembers(planting, group, [0], Number.POSITIVE_INFINITY)
  }
  return layRow([planting])
}

/** The number of pairs, each labelled completion counted. */
export function pairCount(rows: readonly { readonly pairs: readonly { readonly weight: number }[] }[]): number {
  let count = 0
  for (const { pairs } of rows) for (const { weight } of pairs) count += weight
  return count
}

/** The rows of groups whose members are used one by one: every member once. Pairs stand where both sides share a tree. */
export function packMembers(groups: readonly EncodedGroup[], maxRowTokens: number): PackedRow[] {
  const trees = [...byProblem(groups).values()].flatMap((own) => {
    const planted = [startPlanting()]
    for (const group of own) plantOneByOne(planted, group, maxRowTokens)
    return planted.filter(({ continuations }) => continuations.length > 0)
  })
  return fillRows(trees, maxRowTokens).map(layRow)
}

/** Adds the members of a group to the last of some trees, and to further ones where it is full. */
function plantOneByOne(planted: Planting[], group: EncodedGroup, limit: number): void {
  let places = new Map<number, number>()
  for (const member of group.members.keys()) {
    let place = plantMembers(planted[planted.length - 1], group, [member], limit)
    if (place === undefined) {
      plantPairs(planted[planted.length - 1], group.pairs, places)
      places = new Map()
      planted.push(startPlanting())
      place = plantMembers(planted[planted.length - 1], group, [member], limit)
    }
    if (place === undefined) throw new Error(`pack: a completion of ${group.problem} is longer than ${limit} tokens`)
    for (const [at, continuation] of place) places.set(at, continuation)
  }
  plantPairs(planted[planted.length - 1], group.pairs, places)
}
