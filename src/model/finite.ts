/** @file What a model computes is looked at before anybody believes it: damaged weights give numbers that are none. */
import { UserError } from '../base/errors.ts'
import type { FloatArray } from '../engine/backend.ts'

/** @throws UserError where one of the numbers that a model has computed is not finite. */
export function refuseNotFinite(model: string, numbers: FloatArray): void {
  for (let at = 0; at < numbers.length; at++) {
    if (Number.isFinite(numbers[at])) continue
    throw new UserError(
      `${model}: expected finite numbers of this model, found ${numbers[at]}: its weights may be damaged`,
    )
  }
}

/** A model with what is laid over it, for such messages. */
export function nameWith({ base_model, adapter }: { readonly base_model: string; readonly adapter?: string }): string {
  return adapter === undefined ? base_model : `${base_model} with ${adapter}`
}
