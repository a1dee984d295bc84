/** @file Work on several things at a time: results as they come, and what is told meanwhile. */

/** What is put in is taken out in its order; taking waits. */
export interface Mailbox<T> {
  put(item: T): void
  /** The next taking throws. */
  fail(error: unknown): void
  take(): Promise<T>
}

export function createMailbox<T>(): Mailbox<T> {
  let items: Promise<T>[] = []
  let given = 0
  let wake = (): void => {}
  const add = (item: Promise<T>): void => {
    item.catch(() => {}) // thrown where it is taken, if it is
    items.push(item)
    wake()
  }
  return {
    put: (item) => add(Promise.resolve(item)),
    fail: (error) => add(Promise.reject(error)),
    take: async () => {
      while (given === items.length) {
        items = []
        given = 0
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return items[given++]
    },
  }
}

export type Happening<Result, Notice> = { readonly result: Result } | { readonly notice: Notice }

export interface ParallelOptions<Result, Notice> {
  /** How many are worked on at a time. */
  readonly limit: number
  /** No more are begun. */
  readonly signal: AbortSignal
  /** Of one user at a time. */
  readonly mailbox: Mailbox<Happening<Result, Notice>>
}

/** Yields results, and the notices that were put into the mailbox. */
export async function* inParallel<Item, Result, Notice>(
  items: readonly Item[],
  { limit, signal, mailbox }: ParallelOptions<Result, Notice>,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Happening<Result, Notice>> {
  let next = 0
  let running = 0
  const begin = (item: Item): void => {
    running++
    work(item).then((result) => mailbox.put({ result }), mailbox.fail)
  }
  while (running > 0 || (next < items.length && !signal.aborted)) {
    while (running < limit && next < items.length && !signal.aborted) begin(items[next++])
    const happening = await mailbox.take()
    if ('result' in happening) running--
    yield happening
  }
}
