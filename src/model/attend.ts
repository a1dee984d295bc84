/** @file Runs attention block by block: each block of queries on the keys it sees, forward and backward. */
import { type FloatArray, rowsOf, type Tensor } from '../engine/backend.ts'
import type { Machine } from './machine.ts'
import type { AttentionBlock } from './row.ts'

type Floats = Tensor<FloatArray>

/** What attention reads: query [T, heads · size], key and value [T, keyValueHeads · size]. */
export interface QueryKeyValue {
  readonly query: Floats
  readonly key: Floats
  readonly value: Floats
}

/** The rows of the keys that a block sees: a view where they lie together, else a copy. */
function select(machine: Machine, name: string, tensor: Floats, block: AttentionBlock): Floats {
  if (block.keys.length === 1) return rowsOf(tensor, block.keys[0][0], block.keys[0][1])
  const width = tensor.shape[1]
  const selected = machine.workspace.take(name, [block.keyCount, width])
  let at = 0
  for (const [from, to] of block.keys) {
    selected.data.set(tensor.data.subarray(from * width, to * width), at)
    at += (to - from) * width
  }
  return selected
}

/** Puts what was selected back, where `select` gave a copy. */
function putBack(selected: Floats, total: Floats, block: AttentionBlock): void {
  if (block.keys.length === 1) return
  const width = total.shape[1]
  let at = 0
  for (const [from, to] of block.keys) {
    total.data.set(selected.data.subarray(at, at + (to - from) * width), from * width)
    at += (to - from) * width
  }
}

function blockFeeds(machine: Machine, { query, key, value }: QueryKeyValue, block: AttentionBlock) {
  return {
    query: rowsOf(query, block.start, block.end),
    key: select(machine, 'block key', key, block),
    value: select(machine, 'block value', value, block),
    mask: block.mask,
  }
}

/** Writes what every token attends to into `attended` [T, heads · size]. */
export async function attend(
  machine: Machine,
  blocks: readonly AttentionBlock[],
  from: QueryKeyValue,
  attended: Floats,
): Promise<void> {
  for (const block of blocks) {
    const into = { attended: rowsOf(attended, block.start, block.end) }
    await machine.run(machine.attention.forward, blockFeeds(machine, from, block), into)
  }
}

/** d loss / d attended → d loss / d query, key and value, written into `grads`. */
export async function attendBackward(
  machine: Machine,
  blocks: readonly AttentionBlock[],
  from: QueryKeyValue & { readonly attended: Floats; readonly dAttended: Floats },
  grads: QueryKeyValue,
): Promise<void> {
  grads.key.data.fill(0)
  grads.value.data.fill(0)
  for (const block of blocks) {
    const { start, end } = block
    const dKey = select(machine, 'block d key', grads.key, block)
    const dValue = select(machine, 'block d value', grads.value, block)
    const feeds = {
      ...blockFeeds(machine, from, block),
      attended: rowsOf(from.attended, start, end),
      'd attended': rowsOf(from.dAttended, start, end),
      'd key so far': dKey,
      'd value so far': dValue,
    }
    const into = { 'd query': rowsOf(grads.query, start, end), 'd key': dKey, 'd value': dValue }
    await machine.run(machine.attention.backward, feeds, into)
    putBack(dKey, grads.key, block)
    putBack(dValue, grads.value, block)
  }
}
