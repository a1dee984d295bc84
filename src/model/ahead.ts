/**
 * @file What is made ahead of a pass, in a second thread while another pass computes: the views of the next row, and the
 * dropout masks of the next layer. Both are pure functions of what is asked, so that it does not matter who makes them.
 */
import { type Made, type SecondThread, secondThread } from '../base/second-thread.ts'
import type { Backend, FloatTensors } from '../engine/backend.ts'
import { drawMasks, type MaskWork, maskCount } from './dropout.ts'
import { type RowView, rowViews, type ViewsWork } from './row-views.ts'

export type AheadWork = ({ readonly kind: 'views' } & ViewsWork) | ({ readonly kind: 'masks' } & MaskWork)

export type AheadResult =
  | { readonly kind: 'views'; readonly views: readonly RowView[] }
  /** `memory` is that of all masks, to be given back. */
  | { readonly kind: 'masks'; readonly masks: FloatTensors; readonly memory: ArrayBuffer }

export type Ahead = SecondThread<AheadWork, AheadResult>

/** Numbers from which on work is worth handing over: some 0.2 ms of it. */
const WORTH = 200_000

function sizeOf(work: AheadWork): number {
  return work.kind === 'masks' ? maskCount(work) : work.row.ids.length ** 2 / 2
}

function maskBytes(work: MaskWork): number {
  return maskCount(work) * Float32Array.BYTES_PER_ELEMENT
}

/** What the thread does. */
export function makeAhead(work: AheadWork, given: ArrayBuffer | undefined): Made<AheadResult> {
  if (work.kind === 'masks') {
    const memory = given ?? new ArrayBuffer(maskBytes(work))
    const masks = drawMasks(work, (length) => new Float32Array(memory, 0, length))
    return { result: { kind: 'masks', masks, memory }, memory: given === undefined ? [memory] : [] }
  }
  const memory: ArrayBuffer[] = []
  const views = rowViews(work, (length) => {
    const numbers = new Float32Array(length)
    memory.push(numbers.buffer)
    return numbers
  })
  return { result: { kind: 'views', views }, memory }
}

/** Starts its thread when there is work that is worth it. Numbers other than float32 are made by who takes them. */
export function openAhead(backend: Backend): Ahead {
  const isFloat32 = backend.allocate(0) instanceof Float32Array
  const module = new URL(import.meta.url.endsWith('.ts') ? './ahead-thread.ts' : './ahead-thread.js', import.meta.url)
  let thread: Ahead | undefined
  return {
    ask: (work) => {
      if (!isFloat32 || sizeOf(work) < WORTH) return undefined
      thread ??= secondThread(module)
      return thread.ask(work, work.kind === 'masks' ? maskBytes(work) : 0)
    },
    take: (ticket) => thread?.take(ticket),
    drop: (ticket) => thread?.drop(ticket),
    giveBack: (memory) => thread?.giveBack(memory),
    close: () => {
      thread?.close()
      thread = undefined
    },
  }
}
