/** @file Runs the head at the scored tokens of a row, in chunks: hidden states → log-probabilities, and back. */
import { type FloatArray, type FloatTensors, rowsOf, type Tensor, type Tensors } from '../engine/backend.ts'
import { type HeadGraphs, ofReference } from './head.ts'
import type { Machine, PreparedRow } from './machine.ts'
import type { Row } from './row.ts'
import { addInto } from './workspace.ts'

type Floats = Tensor<FloatArray>

/** A reference ρ at a row. It has the architecture of the policy; its machine may be the policy's. */
export interface Reference {
  readonly machine: Machine
  /** [T, hidden] */
  readonly hidden: Floats
}

/** What is asked of the distributions π of the scored tokens beside their log-probabilities. */
export interface AskedStatistics {
  /** For `logCollision`. */
  readonly collision?: boolean
  /** For `kl`. */
  readonly reference?: Reference
}

/** What the head says of each scored token, [S] each. */
export interface TokenScores {
  readonly logps: FloatArray
  /** Of the distribution the token was drawn from, in nats. */
  readonly entropy: FloatArray
  /** The largest log-probability: the token is the greedy one where it equals its own. */
  readonly best: FloatArray
  /** The mean of the logits over the vocabulary. */
  readonly meanLogit: FloatArray
  /** log Σ_v π(v)², where it is asked. No gradient goes through it. */
  readonly logCollision?: FloatArray
  /** KL(ρ‖π) in nats, where there is a reference. */
  readonly kl?: FloatArray
}

/** d loss / d scores, [S] each. */
export interface ScoreGradients {
  readonly logps: FloatArray
  /** Of a pass with a reference. */
  readonly kl?: FloatArray
}

/** Consecutive scored tokens [start, end) with what the head is fed for them. */
interface HeadChunk {
  readonly start: number
  readonly end: number
  readonly feeds: Tensors
}

/** Some rows of hidden states, in a buffer of a machine. */
function gatherStates({ workspace }: Machine, name: string, hidden: Floats, rows: Int32Array): Floats {
  const [, width] = hidden.shape
  const states = workspace.take(name, [rows.length, width])
  rows.forEach((row, at) => {
    states.data.set(hidden.data.subarray(row * width, (row + 1) * width), at * width)
  })
  return states
}

function* headChunks(
  machine: Machine,
  { scored, ids, parents }: Row,
  hidden: Floats,
  reference: Reference | undefined,
): Generator<HeadChunk> {
  const { weights, cuts } = machine
  for (let start = 0; start < scored.length; start += cuts.headTokens) {
    const tokens = scored.subarray(start, start + cuts.headTokens)
    const predictedAt = tokens.map((token) => parents[token])
    const feeds = {
      x: gatherStates(machine, 'head x', hidden, predictedAt),
      target: { data: tokens.map((token) => ids[token]), shape: [tokens.length] },
      ...weights.head,
      ...(reference && {
        [ofReference('x')]: gatherStates(machine, 'head reference x', reference.hidden, predictedAt),
        ...renamed(reference.machine.weights.head, ofReference),
      }),
    }
    yield { start, end: start + tokens.length, feeds }
  }
}

function renamed<T>(tensors: Readonly<Record<string, T>>, rename: (name: string) => string): Record<string, T> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [rename(name), tensor]))
}

/** Hidden states [N, hidden] → logits [N, vocabulary]. */
export async function headLogits(machine: Machine, hidden: Floats): Promise<Floats> {
  const shape = [hidden.shape[0], machine.config.vocabularySize]
  const logits = { data: machine.backend.allocate(shape[0] * shape[1]), shape }
  const graph = graphsFor(machine, {}).logits
  await machine.run(graph, { x: hidden, ...machine.weights.head }, { logits })
  return logits
}

function graphsFor(machine: Machine, { collision = false, reference }: AskedStatistics): HeadGraphs {
  return machine.headFor({ collision, kl: reference !== undefined })
}

/** The part of each score that belongs to a chunk, [N, 1]. */
function columnsOf(scores: Readonly<Record<string, FloatArray>>, { start, end }: HeadChunk): FloatTensors {
  return Object.fromEntries(
    Object.entries(scores).map(([name, data]) => [name, { data: data.subarray(start, end), shape: [end - start, 1] }]),
  )
}

/** Where scores go. `kl` is there where there is a reference. */
export interface ScoreTargets {
  readonly scores: Pick<TokenScores, 'logps' | 'kl'>
  readonly reference?: Reference
}

/** Writes the log-probabilities of the scored tokens [S] and, given a reference, their divergences from it. */
export async function headScores(
  machine: Machine,
  { row }: PreparedRow,
  hidden: Floats,
  { scores, reference }: ScoreTargets,
): Promise<void> {
  const graph = graphsFor(machine, { reference }).forward
  for (const chunk of headChunks(machine, row, hidden, reference)) {
    await machine.run(graph, chunk.feeds, columnsOf({ ...scores }, chunk))
  }
}

/** A forward pass through the head. */
export interface HeadPass {
  readonly row: PreparedRow
  /** [T, hidden] */
  readonly hidden: Floats
  readonly reference?: Reference
  readonly scores: TokenScores
  /** d logp / d hidden state of each scored token, [S, hidden]. */
  readonly slope: Floats
  /** d kl / d hidden state, where there is a reference. */
  readonly klSlope?: Floats
}

/** The scores of the scored tokens and their slopes. */
export async function headSloped(
  machine: Machine,
  row: PreparedRow,
  hidden: Floats,
  asked: AskedStatistics,
): Promise<HeadPass> {
  const { backend, workspace, config } = machine
  const { reference } = asked
  const count = row.row.scored.length
  const column = (): FloatArray => backend.allocate(count)
  const scores = {
    logps: column(),
    entropy: column(),
    best: column(),
    meanLogit: column(),
    ...(asked.collision && { logCollision: column() }),
    ...(reference && { kl: column() }),
  }
  const slope = workspace.take('head slope', [count, config.hiddenSize])
  const klSlope = reference && workspace.take('head kl slope', [count, config.hiddenSize])
  const graph = graphsFor(machine, asked).forwardSloped
  for (const chunk of headChunks(machine, row.row, hidden, reference)) {
    const { start, end, feeds } = chunk
    await machine.run(graph, feeds, {
      ...columnsOf(scores, chunk),
      slope: rowsOf(slope, start, end),
      ...(klSlope && { 'kl slope': rowsOf(klSlope, start, end) }),
    })
  }
  return { row, hidden, reference, scores, slope, klSlope }
}

/** Zeros for d loss / d hidden of a row, [T, hidden]. */
function zeroStates({ workspace, config }: Machine, tokens: number): Floats {
  const dHidden = workspace.take('d hidden', [tokens, config.hiddenSize])
  dHidden.data.fill(0)
  return dHidden
}

/** Adds d loss / d scores times their slopes where the scored tokens are predicted. */
function addSlopes(dHidden: Floats, { scored, parents }: Row, slope: Floats, dScores: FloatArray): void {
  const [, width] = dHidden.shape
  for (let at = 0; at < scored.length; at++) {
    const to = parents[scored[at]] * width
    for (let column = 0; column < width; column++) {
      dHidden.data[to + column] += dScores[at] * slope.data[at * width + column]
    }
  }
}

/** d loss / d scores → d loss / d hidden [T, hidden], given the slopes. */
export function slopeBackward(machine: Machine, { row, slope, klSlope }: HeadPass, dScores: ScoreGradients): Floats {
  const dHidden = zeroStates(machine, row.tokens)
  addSlopes(dHidden, row.row, slope, dScores.logps)
  if (dScores.kl && klSlope) addSlopes(dHidden, row.row, klSlope, dScores.kl)
  return dHidden
}

/** The same where the head itself learns: also adds the gradients of its tensors to `grads`. */
export async function headBackward(
  machine: Machine,
  pass: HeadPass,
  { logps, kl }: ScoreGradients,
  grads: FloatTensors,
): Promise<Floats> {
  const { row } = pass.row
  const reference = kl && pass.reference
  const width = machine.config.hiddenSize
  const dHidden = zeroStates(machine, pass.row.tokens)
  const graph = graphsFor(machine, { reference }).backward
  for (const chunk of headChunks(machine, row, pass.hidden, reference)) {
    const { start, end } = chunk
    const given = columnsOf({ 'd logps': logps, ...(kl && { 'd kl': kl }) }, chunk)
    const dx = machine.workspace.take('d head x', [end - start, width])
    const own = Object.entries(machine.weights.head).map(
      ([name, { shape }]) => [name, machine.workspace.take(`d head ${name}`, shape)] as const,
    )
    const into = renamed(Object.fromEntries(own), (name) => `d ${name}`)
    await machine.run(graph, { ...chunk.feeds, ...given }, { 'd x': dx, ...into })
    for (const [name, { data }] of own) addInto(grads[name].data, data)
    for (let at = start; at < end; at++) {
      const to = row.parents[row.scored[at]] * width
      addInto(dHidden.data.subarray(to, to + width), dx.data.subarray((at - start) * width, (at - start + 1) * width))
    }
  }
  return dHidden
}
