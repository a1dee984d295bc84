/** @file Smoothing of curves. */

export type Column = readonly (number | null)[]

/**
 * The exponential moving average that TensorBoard shows: debiased, so that it begins at the first value. Gaps stay gaps,
 * and a constant stays as it is. `weight` in [0, 1): 0 changes nothing.
 */
export function smooth(values: Column, weight: number): Column {
  let last = 0
  let seen = 0
  return values.map((value) => {
    if (value === null) return null
    last = last * weight + (1 - weight) * value
    seen += 1
    return last / (1 - weight ** seen)
  })
}
