/** @file Runs the head at the scored tokens of a row, in chunks: hidden states → log-probabilities, and back. */
import { type FloatArray, type FloatTensors, rowsOf, type Tensor } from '../engine/backend.ts'
import type { Machine, PreparedRow } from './machine.ts'
import type { Row } from './row.ts'
import { addInto } from './workspace.ts'

type Floats = Tensor<FloatArray>

/** What the head says of each scored token, [S] each. */
export interface TokenScores {
  readonly logps: FloatArray
  /** Of the distribution the token was drawn from, in nats. */
  readonly entropy: FloatArray
  /** The largest log-probability: the token is the greedy one where it equals its own. */
  readonly best: FloatArray
  /** The mean of the logits over the vocabulary. */
  readonly meanLogit: FloatArray
}

/** Consecutive scored tokens [start, end) with the hidden states that predict them and their ids. */
interface HeadChunk {
  readonly start: number
  readonly end: number
  readonly x: Floats
  readonly target: Tensor<Int32Array>
}

function* headChunks(machine: Machine, { scored, ids, parents }: Row, hidden: Floats): Generator<HeadChunk> {
  const width = machine.config.hiddenSize
  for (let start = 0; start < scored.length; start += machine.cuts.headTokens) {
    const end = Math.min(start + machine.cuts.headTokens, scored.length)
    const x = machine.workspace.take('head x', [end - start, width])
    const target = new Int32Array(end - start)
    for (let at = start; at < end; at++) {
      const parent = parents[scored[at]]
      x.data.set(hidden.data.subarray(parent * width, (parent + 1) * width), (at - start) * width)
      target[at - start] = ids[scored[at]]
    }
    yield { start, end, x, target: { data: target, shape: [end - start] } }
  }
}

function headFeeds({ weights }: Machine, { x, target }: HeadChunk) {
  return { x, target, 'norm.weight': weights.norm, 'head.weight': weights.head }
}

/** Hidden states [N, hidden] → logits [N, vocabulary]. */
export async function headLogits(machine: Machine, hidden: Floats): Promise<Floats> {
  const { norm, head } = machine.weights
  const shape = [hidden.shape[0], machine.config.vocabularySize]
  const logits = { data: machine.backend.allocate(shape[0] * shape[1]), shape }
  await machine.run(machine.head.logits, { x: hidden, 'norm.weight': norm, 'head.weight': head }, { logits })
  return logits
}

/** The log-probabilities of the scored tokens [S]. */
export async function headLogps(machine: Machine, { row }: PreparedRow, hidden: Floats): Promise<FloatArray> {
  const logps: Floats = { data: machine.backend.allocate(row.scored.length), shape: [row.scored.length, 1] }
  for (const chunk of headChunks(machine, row, hidden)) {
    const into = { logps: rowsOf(logps, chunk.start, chunk.end) }
    await machine.run(machine.head.forward, headFeeds(machine, chunk), into)
  }
  return logps.data
}

/** The scores of the scored tokens, and d logp / d hidden state of each, [S, hidden]. */
export async function headSloped(
  machine: Machine,
  { row }: PreparedRow,
  hidden: Floats,
): Promise<{ readonly scores: TokenScores; readonly slope: Floats }> {
  const count = row.scored.length
  const column = (): Floats => ({ data: machine.backend.allocate(count), shape: [count, 1] })
  const columns = { logps: column(), entropy: column(), best: column(), meanLogit: column() }
  const slope = machine.workspace.take('head slope', [count, machine.config.hiddenSize])
  for (const chunk of headChunks(machine, row, hidden)) {
    const into = Object.fromEntries(
      Object.entries({ ...columns, slope }).map(([name, tensor]) => [name, rowsOf(tensor, chunk.start, chunk.end)]),
    )
    await machine.run(machine.head.forwardSloped, headFeeds(machine, chunk), into)
  }
  const { logps, entropy, best, meanLogit } = columns
  return { scores: { logps: logps.data, entropy: entropy.data, best: best.data, meanLogit: meanLogit.data }, slope }
}

/** A forward pass through the head. */
export interface HeadPass {
  readonly row: PreparedRow
  /** [T, hidden] */
  readonly hidden: Floats
  /** [S, hidden] */
  readonly slope: Floats
}

/** d loss / d logps [S] → d loss / d hidden [T, hidden], given the slopes. */
export function slopeBackward(machine: Machine, { row, slope }: HeadPass, dLogps: FloatArray): Floats {
  const width = machine.config.hiddenSize
  const dHidden = machine.workspace.take('d hidden', [row.tokens, width])
  dHidden.data.fill(0)
  const { scored, parents } = row.row
  for (let at = 0; at < scored.length; at++) {
    const to = parents[scored[at]] * width
    for (let column = 0; column < width; column++) {
      dHidden.data[to + column] += dLogps[at] * slope.data[at * width + column]
    }
  }
  return dHidden
}

/** The same where the head itself learns: also adds the gradients of its norm and weight to `grads`. */
export async function headBackward(
  machine: Machine,
  { row, hidden }: HeadPass,
  dLogps: FloatArray,
  grads: FloatTensors,
): Promise<Floats> {
  const width = machine.config.hiddenSize
  const dHidden = machine.workspace.take('d hidden', [row.tokens, width])
  dHidden.data.fill(0)
  const { scored, parents } = row.row
  for (const chunk of headChunks(machine, row.row, hidden)) {
    const { start, end } = chunk
    const feeds = {
      ...headFeeds(machine, chunk),
      'd logps': { data: dLogps.subarray(start, end), shape: [end - start, 1] },
    }
    const into = {
      'd x': machine.workspace.take('d head x', [end - start, width]),
      'd norm.weight': machine.workspace.take('d head norm', machine.weights.norm.shape),
      'd head.weight': machine.workspace.take('d head weight', machine.weights.head.shape),
    }
    await machine.run(machine.head.backward, feeds, into)
    addInto(grads['norm.weight'].data, into['d norm.weight'].data)
    addInto(grads['head.weight'].data, into['d head.weight'].data)
    for (let at = start; at < end; at++) {
      const to = parents[scored[at]] * width
      addInto(
        dHidden.data.subarray(to, to + width),
        into['d x'].data.subarray((at - start) * width, (at - start + 1) * width),
      )
    }
  }
  return dHidden
}
