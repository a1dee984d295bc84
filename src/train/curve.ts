/** @file Functions of one number that losses are made of: values and slopes, exact and finite far from 0. */

/** A function of one number at a point: its value and its derivative. */
export interface Curve {
  readonly value: number
  readonly slope: number
}

/** log σ(z). */
export function logSigmoid(z: number): number {
  return Math.min(z, 0) - Math.log1p(Math.exp(-Math.abs(z)))
}

export function sigmoid(z: number): number {
  return z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z))
}

/** dσ(z) / dz. */
export function bell(z: number): number {
  return sigmoid(z) * sigmoid(-z)
}

/** −(1 − ε) log σ(z) − ε log σ(−z). */
export function logistic(z: number, epsilon = 0): Curve {
  return {
    value: -(1 - epsilon) * logSigmoid(z) - epsilon * logSigmoid(-z),
    slope: sigmoid(z) - 1 + epsilon,
  }
}

/** TRL's bound of exponents. */
const LARGEST_EXPONENT = 80

/** e^x, constant above x = 80. */
export function boundedExp(x: number): Curve {
  const value = Math.exp(Math.min(x, LARGEST_EXPONENT))
  return { value, slope: x > LARGEST_EXPONENT ? 0 : value }
}

/** e^x − 1, the same, exact near 0. */
export function boundedExpm1(x: number): Curve {
  return { value: Math.expm1(Math.min(x, LARGEST_EXPONENT)), slope: boundedExp(x).slope }
}

/** The distance from certainty below which log odds go on as a straight line: they are infinite at certainty. */
const NEAREST_TO_CERTAIN = 1e-6

/** log(p / (1 − p)) of a log-probability. */
export function logOdds(logp: number): Curve {
  const at = Math.min(logp, -NEAREST_TO_CERTAIN)
  const rest = -Math.expm1(at) // 1 − p
  // log1p is exact where p is small, log where 1 − p is.
  const value = at - (at < -Math.LN2 ? Math.log1p(-Math.exp(at)) : Math.log(rest))
  return { value: value + (logp - at) / rest, slope: 1 / rest }
}
