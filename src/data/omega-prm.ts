/**
 * @file The trees of OmegaPRM's search as openr writes them (github.com/openreasoner/openr, data/omegaPRM_v2): the root is the
 * question, and each node a continuation of its parent with the share of rollouts from there that reach the answer.
 */
import { z } from 'zod'
import { type Candidate, type LabelledRow, type Reading, type ReadOptions, userPrompt } from './labelled.ts'
import { statesAnswer } from './math-aps.ts'
import { list, parseRow, stepText, toLineFeeds } from './schema.ts'

const MAX_NODES = 10_000
const MAX_DEPTH = 200

const node = z.object({
  text: z.string().transform(toLineFeeds),
  mc_value: z.number().min(0).max(1).nullish(),
  children: list(z.unknown(), MAX_NODES),
})
type Node = z.output<typeof node>

const schema = z.object({ question: stepText, reasoning_steps: node })

/** A node whose children are still to be read, and the steps to it. */
interface Open {
  readonly parent: Node
  readonly path: readonly string[]
}

/**
 * The children of each node as siblings: right where more than half of the rollouts reach the answer, as in openr. Below a
 * node from which none does, nothing is read.
 */
export function readOmegaPrm(value: unknown, options: ReadOptions): Reading {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { question, reasoning_steps: root } = parsed.row
  const rows: LabelledRow[] = []
  const open: Open[] = [{ parent: root, path: [] }]
  let count = 0
  for (let at = 0; at < open.length; at++) {
    const { parent, path } = open[at]
    const children = parseChildren(parent)
    if ('bad' in children) return children
    count += children.nodes.length
    if (count > MAX_NODES || path.length > MAX_DEPTH) {
      return { bad: `reasoning_steps: expected at most ${MAX_NODES} nodes, ${MAX_DEPTH} deep, found more` }
    }
    const before = path.map((next) => ({ candidates: [], next }))
    const steps = [...before, { candidates: children.nodes.map(readNode), next: null }]
    if (children.nodes.length > 0) rows.push({ prompt: userPrompt(question), separator: options.separator, steps })
    for (const child of children.nodes) {
      const next = child.text.trim()
      if (child.children.length > 0 && next !== '' && (child.mc_value ?? 0) > 0) {
        open.push({ parent: child, path: [...path, next] })
      }
    }
  }
  const [labelled, ...more] = rows
  return labelled === undefined ? { dropped: 'a question without steps' } : { labelled, more }
}

function parseChildren({ children }: Node): { readonly nodes: readonly Node[] } | { readonly bad: string } {
  const nodes: Node[] = []
  for (const child of children) {
    const parsed = parseRow(node, child)
    if ('bad' in parsed) return { bad: `reasoning_steps: ${parsed.bad}` }
    nodes.push(parsed.row)
  }
  return { nodes }
}

function readNode({ text, mc_value: value, children }: Node): Candidate {
  const content = text.trim()
  if (content === '') return { dropped: 'empty' }
  if (value == null) return { dropped: 'unrated' }
  const terminal = children.length === 0 && statesAnswer(content)
  return { content, rating: value > 0.5 ? 1 : -1, score: value, terminal }
}
