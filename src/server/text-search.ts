/** @file Finds a text in many, whatever the case: all in lower case in blocks of bytes, which are scanned. */

export interface TextSearch {
  /** Adds the next text. */
  add(text: string): void
  /** The numbers of the texts that hold `wanted`, from 0, in their order. */
  find(wanted: string): Set<number>
}

interface Block {
  readonly bytes: Buffer
  used: number
  /** Where its texts begin, and the number of the first. */
  readonly starts: number[]
  readonly first: number
}

const BLOCK_BYTES = 1 << 22
/** Stands between texts, so that nothing is found across two. */
const SEPARATOR = 0

export function createTextSearch(): TextSearch {
  const blocks: Block[] = []
  let count = 0
  return {
    add: (text) => {
      const bytes = Buffer.from(text.toLowerCase())
      let block = blocks.at(-1)
      if (block === undefined || block.used + bytes.length + 1 > block.bytes.length) {
        const size = Math.max(BLOCK_BYTES, bytes.length + 1)
        block = { bytes: Buffer.alloc(size, SEPARATOR), used: 0, starts: [], first: count }
        blocks.push(block)
      }
      block.starts.push(block.used)
      bytes.copy(block.bytes, block.used)
      block.used += bytes.length + 1
      count++
    },
    find: (wanted) => {
      const found = new Set<number>()
      const bytes = Buffer.from(wanted.toLowerCase())
      if (bytes.length === 0 || bytes.includes(SEPARATOR)) return found
      for (const block of blocks) findInBlock(block, bytes, found)
      return found
    },
  }
}

function findInBlock({ bytes, used, starts, first }: Block, wanted: Buffer, found: Set<number>): void {
  const filled = bytes.subarray(0, used)
  let text = 0
  for (
    let at = filled.indexOf(wanted);
    at >= 0;
    at = text < starts.length ? filled.indexOf(wanted, starts[text]) : -1
  ) {
    while (text + 1 < starts.length && starts[text + 1] <= at) text++
    found.add(first + text)
    text++ // one place in a text is enough
  }
}
