/** @file Items that arrive together are written together: what is added while a write runs is the next write. */
import { setImmediate as nextTurn } from 'node:timers/promises'

export interface GroupQueue<T> {
  /** Ends when the item is written. `end` is called before that, in the turn in which its group ended, well or not. */
  add(item: T, end: () => void): Promise<void>
  /** Ends when nothing is left to be written. */
  drained(): Promise<void>
}

interface Waiting<T> {
  readonly item: T
  readonly end: (group: Promise<void>) => void
}

/** After a group that could not be written nothing more is: nobody knows what of it stands. */
export function createGroupQueue<T>(write: (items: readonly T[]) => Promise<void>): GroupQueue<T> {
  let queue: Waiting<T>[] = []
  let written = Promise.resolve()
  let isWriting = false
  const writeAll = async (): Promise<void> => {
    isWriting = true
    await nextTurn() // items of one turn go together
    while (queue.length > 0) {
      const group = queue
      queue = []
      written = written.then(() => write(group.map(({ item }) => item)))
      await written.catch(() => {}) // told to those who wait
      for (const { end } of group) end(written)
    }
    isWriting = false
  }
  let running = Promise.resolve()
  return {
    add: (item, end) =>
      new Promise((resolve) => {
        queue.push({
          item,
          end: (group) => {
            end()
            resolve(group)
          },
        })
        if (!isWriting) running = writeAll()
      }),
    drained: () => running,
  }
}
