/** @file Pictures of numbers in one line of text. */

const LEVELS = '▁▂▃▄▅▆▇█'
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/**
 * The curve of the values in at most `width` characters: each stands for the mean of its share of them, the lowest for
 * the least mean. A share without a finite number is a space.
 */
export function sparkline(values: readonly number[], width: number): string {
  const count = Math.min(width, values.length)
  const means = Array.from({ length: count }, (_, index) =>
    mean(values, Math.floor((index * values.length) / count), Math.floor(((index + 1) * values.length) / count)),
  )
  const finite = means.filter(Number.isFinite)
  const low = Math.min(...finite)
  const range = Math.max(...finite) - low
  const level = (value: number): string =>
    LEVELS[range > 0 ? Math.round(((value - low) / range) * (LEVELS.length - 1)) : 3]
  return means.map((value) => (Number.isFinite(value) ? level(value) : ' ')).join('')
}

/** The mean of the finite values from `start` to before `end`. */
function mean(values: readonly number[], start: number, end: number): number {
  let sum = 0
  let count = 0
  for (let index = start; index < end; index++) {
    if (!Number.isFinite(values[index])) continue
    sum += values[index]
    count++
  }
  return sum / count
}

/** A bar of `width` characters, filled to `done / total` in eighths of a character. */
export function bar(done: number, total: number, width: number): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 0
  const eighths = Math.floor(share * width * 8)
  const filled = '█'.repeat(Math.floor(eighths / 8)) + EIGHTHS[eighths % 8]
  return filled + '·'.repeat(width - filled.length)
}
