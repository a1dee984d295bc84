/**
 * @file A token tree: what sequences have in common at their beginning is stored once. A node is a token; two tokens
 * are one node where they are equal and everything before them is.
 */

/** Nodes in the order of insertion, so that a parent stands before its children. */
export interface TokenTree {
  readonly ids: number[]
  /** −1 for a token that begins a sequence. */
  readonly parents: number[]
  /** The children of node n by token id at n + 1; those of the root at 0. */
  readonly children: Map<number, number>[]
}

export function makeTree(): TokenTree {
  return { ids: [], parents: [], children: [new Map()] }
}

/** Adds a sequence below a node (−1: the root). Gives its nodes: those that stood there, then new ones. */
export function insertTokens(tree: TokenTree, below: number, ids: readonly number[]): number[] {
  let node = below
  return ids.map((id) => {
    const siblings = tree.children[node + 1]
    const known = siblings.get(id)
    if (known !== undefined) {
      node = known
      return known
    }
    const made = tree.ids.push(id) - 1
    tree.parents.push(node)
    tree.children.push(new Map())
    siblings.set(id, made)
    node = made
    return made
  })
}

/** Takes back the insertions after which the tree had more than `size` nodes. */
export function shrinkTo(tree: TokenTree, size: number): void {
  while (tree.ids.length > size) {
    const id = tree.ids.pop()
    const parent = tree.parents.pop()
    tree.children.pop()
    if (id !== undefined && parent !== undefined) tree.children[parent + 1].delete(id)
  }
}
