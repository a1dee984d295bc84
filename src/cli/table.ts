/** @file Tables of text, their columns aligned. */
import { cutText, displayWidth, printable } from './width.ts'

export interface Table {
  readonly head: readonly string[]
  /** As many cells in each as the head has. */
  readonly rows: readonly (readonly string[])[]
}

const NUMBER = /^[+-]?[\d,.]+(e[+-]\d+)?%?$/i
const GAP = '  '

/**
 * The lines of a table, columns of numbers to the right. On a terminal of `width` columns long texts are cut so that
 * lines fit, numbers never; without a width (a pipe, a file) nothing is cut.
 */
export function tableLines({ head, rows }: Table, width = Number.POSITIVE_INFINITY): string[] {
  const columns = head.map((title, index) => [title, ...rows.map((row) => row[index])].map(printable))
  const areNumbers = columns.map(
    ([, ...cells]) => cells.some(isNumber) && cells.every((cell) => cell === '' || isNumber(cell)),
  )
  const widths = columns.map((cells) => cells.reduce((widest, cell) => Math.max(widest, displayWidth(cell)), 0))
  const room = width - GAP.length * (head.length - 1)
  const limit = textLimit(widths, areNumbers, room)
  return [head, ...rows].map((_, row) => {
    const cells = columns.map((column, index) =>
      areNumbers[index]
        ? ' '.repeat(widths[index] - displayWidth(column[row])) + column[row]
        : padEnd(cutText(column[row], limit), Math.min(widths[index], limit)),
    )
    return cutText(cells.join(GAP).trimEnd(), width)
  })
}

function isNumber(cell: string): boolean {
  return NUMBER.test(cell)
}

/** The width of the widest text for which all columns fit into `room`. */
function textLimit(widths: readonly number[], areNumbers: readonly boolean[], room: number): number {
  const taken = (limit: number): number =>
    widths.reduce((sum, width, index) => sum + (areNumbers[index] ? width : Math.min(width, limit)), 0)
  let limit = Math.max(1, ...widths)
  while (limit > 1 && taken(limit) > room) limit--
  return limit
}

function padEnd(text: string, width: number): string {
  return text + ' '.repeat(width - displayWidth(text))
}
