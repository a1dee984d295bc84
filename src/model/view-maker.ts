/** @file The views of rows, one after another: those of the next are made while a row computes. */
import type { Backend } from '../engine/backend.ts'
import type { Ahead } from './ahead.ts'
import type { Row } from './row.ts'
import { type RowView, rowViews, type ViewsWork } from './row-views.ts'

export interface ViewMaker {
  /** Says that a row will come: its views are begun beside what is computed until then. */
  expect(row: Row): void
  /** The view of each kind of layer. */
  viewsOf(row: Row): readonly RowView[]
}

export function viewMaker(ahead: Ahead, allocate: Backend['allocate'], how: Omit<ViewsWork, 'row'>): ViewMaker {
  // A row goes through reference and policy: its views are made once.
  let last: { readonly row: Row; readonly views: readonly RowView[] } | undefined
  let coming: { readonly row: Row; readonly ticket: Parameters<Ahead['take']>[0] } | undefined

  function takeComing(row: Row): readonly RowView[] | undefined {
    if (coming?.row !== row) return undefined
    const made = ahead.take(coming.ticket)
    coming = undefined
    return made?.kind === 'views' ? made.views : undefined
  }

  return {
    expect: (row) => {
      if (last?.row === row || coming?.row === row) return
      if (coming !== undefined) ahead.drop(coming.ticket)
      const ticket = ahead.ask({ kind: 'views', row, ...how })
      coming = ticket && { row, ticket }
    },
    viewsOf: (row) => {
      if (last?.row !== row) last = { row, views: takeComing(row) ?? rowViews({ row, ...how }, allocate) }
      return last.views
    },
  }
}
