/**
 * @file What a log ratio counts for under other divergences from the reference than the reverse KL: f-DPO (Wang et al.
 * 2023). Constants, which cancel out of a margin, are left out, as in TRL at its commit f2cd577; TRL 1.16 has them.
 */
import { boundedExp, type Curve, logSigmoid, sigmoid } from './curve.ts'

export type DivergenceType = 'reverse_kl' | 'forward_kl' | 'js_divergence' | 'alpha_divergence'

export interface Divergence {
  readonly type: DivergenceType
  /** Of the alpha divergence alone: near 1 it is the reverse KL, near 0 the forward KL. */
  readonly alpha: number
}

export const REVERSE_KL: Divergence = { type: 'reverse_kl', alpha: 1 }

/** f′(t) at t = e^x, but for a constant. */
const scores: { readonly [T in DivergenceType]: (x: number, alpha: number) => Curve } = {
  reverse_kl: (x) => ({ value: x, slope: 1 }),
  forward_kl: (x) => {
    const { value, slope } = boundedExp(-x)
    return { value: -value, slope }
  },
  js_divergence: (x) => ({ value: logSigmoid(x), slope: sigmoid(-x) }),
  alpha_divergence: (x, alpha) => {
    if (Math.abs(alpha - 1) < 1e-6) return { value: x, slope: 1 } // the limit, but for a constant
    const { value, slope } = boundedExp((alpha - 1) * x)
    return { value: value / (alpha - 1), slope }
  },
}

/** S(x) of a log ratio x, in place of the ratio itself. Exponents are bounded by 80, beyond which S is constant. */
export function scoreOf(ratio: number, { type, alpha }: Divergence): Curve {
  return scores[type](ratio, alpha)
}
