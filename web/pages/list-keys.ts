/** @file j, k and Enter in lists whose rows are links. */
import { useState } from 'preact/hooks'
import { useKeys } from '../hooks.ts'
import { goTo } from '../router.ts'

/** The row that is chosen, from 0; −1 before a key was pressed. */
export function useListKeys(count: number, linkOf: (index: number) => string | null): number {
  const [current, setCurrent] = useState(-1)
  useKeys({
    j: () => setCurrent((old) => Math.min(count - 1, old + 1)),
    k: () => setCurrent((old) => Math.max(0, old - 1)),
    Enter: () => {
      const link = linkOf(current)
      if (link !== null) goTo(link)
    },
  })
  return Math.min(current, count - 1)
}
