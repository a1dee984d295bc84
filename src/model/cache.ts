/** @file Keys and values of sequences that stand side by side, each at a place of its own. */
import type { Backend, FloatArray, Tensor } from '../engine/backend.ts'
import type { CacheLayout } from './decode-graph.ts'

export interface Cache {
  /** Gives each place room for at least so many tokens. */
  reserve(tokens: number): void
  /** Its buffers for the first places, [places, heads, room, size] each, by name. */
  tensors(places: number): Record<string, Tensor<FloatArray>>
  /** Copies the first tokens of a sequence to a place of this cache. */
  copy(from: Cache, source: number, place: number, tokens: number): void
  /** Keys or values of one head of one place, [room, size]. */
  chunk(buffer: number, place: number, head: number): FloatArray
}

/** Room grows by half, so that long sequences are copied a few times only. */
const GROWTH = 1.5

export function makeCache(backend: Backend, { names, heads, size }: CacheLayout, places: number): Cache {
  let buffers: readonly FloatArray[] = names.map(() => backend.allocate(0))
  let room = 0
  const lengthFor = (tokens: number): number => places * heads * tokens * size
  const chunkOf = (buffer: FloatArray, chunk: number, tokens: number): FloatArray =>
    buffer.subarray(chunk * tokens * size, (chunk + 1) * tokens * size)
  const self: Cache = {
    reserve: (tokens) => {
      if (tokens <= room) return
      const more = Math.max(tokens, Math.ceil(room * GROWTH))
      buffers = buffers.map((buffer) => {
        const larger = backend.allocate(lengthFor(more))
        for (let chunk = 0; chunk < places * heads; chunk++) {
          chunkOf(larger, chunk, more).set(chunkOf(buffer, chunk, room))
        }
        return larger
      })
      room = more
    },
    tensors: (count) => {
      const shape = [count, heads, room, size]
      const length = count * heads * room * size
      return Object.fromEntries(names.map((name, at) => [name, { data: buffers[at].subarray(0, length), shape }]))
    },
    copy: (from, source, place, tokens) => {
      for (let buffer = 0; buffer < names.length; buffer++) {
        for (let head = 0; head < heads; head++) {
          self.chunk(buffer, place, head).set(from.chunk(buffer, source, head).subarray(0, tokens * size))
        }
      }
    },
    chunk: (buffer, place, head) => chunkOf(buffers[buffer], place * heads + head, room),
  }
  return self
}
