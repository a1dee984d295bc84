/** @file The kinds of norms, each with the tensors that it has. */
import { add, constant, layerNorm, rmsNorm } from '../engine/ops.ts'
import type { Value } from '../engine/value.ts'

export interface Norm {
  /** Its tensors [columns] by the last part of their names, with the number that a new model has in each. */
  readonly tensors: Readonly<Record<string, number>>
  /** Over the last axis of x. */
  apply(x: Value, tensor: (part: string) => Value, epsilon: number): Value
}

/** x r w with r = (mean x² + ε)^−½ (Zhang and Sennrich 2019). */
export const rms: Norm = {
  tensors: { weight: 1 },
  apply: (x, tensor, epsilon) => rmsNorm(x, tensor('weight'), epsilon),
}

/** x r (1 + w): Gemma's. */
export const rmsAboveOne: Norm = {
  tensors: { weight: 0 },
  apply: (x, tensor, epsilon) => rmsNorm(x, add(tensor('weight'), constant(1)), epsilon),
}

/** With mean and bias (Ba et al. 2016). */
export const centred: Norm = {
  tensors: { weight: 1, bias: 0 },
  apply: (x, tensor, epsilon) => layerNorm(x, tensor('weight'), tensor('bias'), epsilon),
}
