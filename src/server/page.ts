/** @file A part of a long list. */
import type { Page } from '../data/dashboard.ts'

export const MAX_LIMIT = 200
const LIMIT = 100

/** `found` are those that the filters let through, of `total`. */
export function pageOf<Item>(
  found: readonly Item[],
  { offset = 0, limit = LIMIT }: { readonly offset?: number; readonly limit?: number },
  total: number,
): Page<Item> {
  return { items: found.slice(offset, offset + limit), offset, found: found.length, total }
}
