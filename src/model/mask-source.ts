/** @file The dropout masks of all layers, one after another: those of the next are drawn while a layer computes. */
import type { Backend, FloatTensors } from '../engine/backend.ts'
import type { Ahead } from './ahead.ts'
import { type DroppedInput, drawMasks, type MaskWork } from './dropout.ts'

/** The masks of a layer for so many tokens, and the layer whose masks will be asked for after them. */
export type MaskSource = (layer: number, tokens: number, next?: number) => FloatTensors

/** Masks that stand for work: those that are in use, or those that are being drawn. */
interface Place {
  readonly label: string
  readonly layer: number
  readonly tokens: number
}

function isSame(a: Place | undefined, b: Place): boolean {
  return a !== undefined && a.label === b.label && a.layer === b.layer && a.tokens === b.tokens
}

export interface MaskOptions {
  readonly ahead: Ahead
  /** What is dropped in each layer. */
  readonly layers: readonly (readonly DroppedInput[])[]
  readonly share: number
  readonly seed: number
  /** Memory for what is drawn here. What it held is lost. */
  readonly allocate: Backend['allocate']
}

/** For each label its masks. They hold until any source is asked for others. A machine has one learner at a time. */
export function maskSources({ ahead, layers, share, seed, allocate }: MaskOptions): (label: string) => MaskSource {
  let held: (Place & { readonly masks: FloatTensors; readonly memory: ArrayBuffer }) | undefined
  let coming: (Place & { readonly ticket: Parameters<Ahead['take']>[0] }) | undefined
  const workAt = ({ label, layer, tokens }: Place): MaskWork => ({ seed, label, tokens, inputs: layers[layer], share })

  /** What the thread has drawn for a place, if it has. */
  function takeComing(place: Place): FloatTensors | undefined {
    if (coming === undefined) return undefined
    const { ticket } = coming
    const isWanted = isSame(coming, place)
    coming = undefined
    if (!isWanted) {
      ahead.drop(ticket)
      return undefined
    }
    const made = ahead.take(ticket)
    if (made?.kind !== 'masks') return undefined
    held = { ...place, ...made }
    return made.masks
  }

  function masksAt(place: Place): FloatTensors {
    if (held !== undefined && isSame(held, place)) return held.masks
    if (held !== undefined) ahead.giveBack(held.memory)
    held = undefined
    return takeComing(place) ?? drawMasks(workAt(place), allocate)
  }

  return (label) => (layer, tokens, next) => {
    const masks = masksAt({ label, layer, tokens })
    if (next === undefined) return masks
    const place = { label, layer: next, tokens }
    if (isSame(coming, place)) return masks
    if (coming !== undefined) ahead.drop(coming.ticket)
    const ticket = ahead.ask({ kind: 'masks', ...workAt(place) })
    coming = ticket && { ...place, ticket }
    return masks
  }
}
