/** @file A solution and what is asked about its steps as one tree of tokens, so that each of them is computed once. */
import type { Row } from '../model/row.ts'

export interface AskedSolution {
  /** What stands before the first step. */
  readonly prompt: readonly number[]
  readonly steps: readonly (readonly number[])[]
  /** Which steps are asked about. */
  readonly asked: readonly boolean[]
  /** Hangs below each step that is asked about; may be empty. */
  readonly question: readonly number[]
  /** The two answers to it. */
  readonly answers: readonly [number, number]
}

/** Tokens of a tree as they come. */
interface Growing {
  readonly ids: number[]
  readonly parents: number[]
}

/** Adds tokens one after another below `parent`, and says where the last one stands. */
function grow(tree: Growing, tokens: readonly number[], parent: number): number {
  let last = parent
  for (const id of tokens) {
    tree.ids.push(id)
    tree.parents.push(last)
    last = tree.ids.length - 1
  }
  return last
}

/** The tree of a solution; both answers after each step that is asked about are scored, in this order. */
export function solutionTree({ prompt, steps, asked, question, answers }: AskedSolution): Row {
  const tree: Growing = { ids: [], parents: [] }
  const scored: number[] = []
  let trunk = grow(tree, prompt, -1)
  for (const [at, step] of steps.entries()) {
    trunk = grow(tree, step, trunk)
    if (!asked[at]) continue
    const end = grow(tree, question, trunk)
    for (const answer of answers) scored.push(grow(tree, [answer], end))
  }
  return { ids: Int32Array.from(tree.ids), parents: Int32Array.from(tree.parents), scored: Int32Array.from(scored) }
}
