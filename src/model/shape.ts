/** @file The number of elements of a shape that a file states. */

/** The product of the dimensions, or undefined where it passes 2⁵³ on the way. */
export function exactElementCount(shape: readonly number[]): number | undefined {
  let count = 1
  for (const length of shape) {
    count *= length
    if (!Number.isSafeInteger(count)) return undefined
  }
  return count
}
