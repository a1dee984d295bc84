/** @file Whether the margins of pairs go with the lengths of their sides: sums over pairs, and the correlation of them. */

/** Σ w, Σ w x, Σ w y, Σ w x², Σ w y² and Σ w x y of x = tokens of the chosen side − of the rejected one, y = the margin. */
export type LengthMoments = readonly number[]

export const NO_LENGTHS: LengthMoments = [0, 0, 0, 0, 0, 0]

export interface LengthTotals {
  add(longer: number, margin: number, weight: number): void
  readonly moments: LengthMoments
}

export function lengthMoments(): LengthTotals {
  const moments = [...NO_LENGTHS]
  return {
    moments,
    add: (x, y, weight) => {
      for (const [at, value] of [1, x, y, x * x, y * y, x * y].entries()) moments[at] += weight * value
    },
  }
}

/** What fewer pairs say of a correlation is chance: its standard error is 0.18 with 30. */
const LEAST_PAIRS = 30
/** A variance below this part of the square it is the rest of is rounding. */
const ROUNDING = 1e-12

/** Pearson's correlation; undefined of few pairs, and where either side does not vary. */
export function lengthCorrelation([weight, x, y, xx, yy, xy]: LengthMoments): number | undefined {
  if (weight < LEAST_PAIRS) return undefined
  const [varianceX, varianceY] = [xx - (x * x) / weight, yy - (y * y) / weight]
  if (!(varianceX > ROUNDING * xx && varianceY > ROUNDING * yy)) return undefined
  return Math.max(-1, Math.min(1, (xy - (x * y) / weight) / Math.sqrt(varianceX * varianceY)))
}
