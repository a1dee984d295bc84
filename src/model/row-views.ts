/** @file What the layers of each kind need to know of a row: which token sees which, and how far each is turned. */
import type { Backend } from '../engine/backend.ts'
import { type RotaryPlan, type RotaryTables, rotaryTables } from './rope.ts'
import { type AttentionBlock, attentionBlocks, depthsOf, type Row } from './row.ts'

/** How the layers of one kind see a row. */
export interface RowView {
  /** null where positions are not turned. */
  readonly angles: RotaryTables | null
  readonly blocks: readonly AttentionBlock[]
}

/** A row, and how the kinds of layers see any. */
export interface ViewsWork {
  readonly row: Row
  readonly kinds: readonly {
    /** null where positions are not turned. */
    readonly plan: RotaryPlan | null
    readonly window: number | null
  }[]
  /** Query tokens of one attention block. */
  readonly blockTokens: number
}

/** The view of each kind. Those of one window share their blocks. */
export function rowViews({ row, kinds, blockTokens }: ViewsWork, allocate: Backend['allocate']): RowView[] {
  const depths = depthsOf(row)
  const blocks = new Map<number | null, readonly AttentionBlock[]>()
  return kinds.map(({ plan, window }) => {
    const own = blocks.get(window) ?? attentionBlocks(row, blockTokens, window)
    blocks.set(window, own)
    return { angles: plan && rotaryTables(allocate, plan, depths), blocks: own }
  })
}
