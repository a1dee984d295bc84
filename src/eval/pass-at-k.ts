/** @file pass@k: the chance that one of k completions is right. */
import { UserError } from '../base/errors.ts'

/**
 * C(part, drawn) / C(total, drawn): the chance that all that is drawn, without putting back, is of a part. It is that
 * of drawing the rest from what is not drawn, too: the product is over the fewer factors.
 */
export function chanceAllOf(part: number, total: number, drawn: number): number {
  const rest = total - part
  const [from, factors] = drawn <= rest ? [part, drawn] : [total - drawn, rest]
  let chance = 1 // of a part that is too small one factor is 0
  for (let before = 0; before < factors; before++) chance *= (from - before) / (total - before)
  return chance
}

/** @throws UserError unless `drawn` is a whole number from 1 to `total`. */
export function checkDrawn(drawn: number, total: number): void {
  if (Number.isInteger(drawn) && drawn >= 1 && drawn <= total) return
  throw new UserError(`completions to draw: expected a whole number from 1 to ${total}, found ${drawn}`)
}

/**
 * pass@k = 1 − C(N − c, k) / C(N, k) of N completions of which c are right (Chen et al. 2021, arXiv 2107.03374,
 * equation 1), as a product, so that no binomial coefficient overflows.
 * @throws UserError for counts that do not fit each other.
 */
export function passAtK(total: number, right: number, k: number): number {
  checkDrawn(k, total)
  if (!(Number.isInteger(right) && right >= 0 && right <= total)) {
    throw new UserError(`right completions: expected a whole number from 0 to ${total}, found ${right}`)
  }
  return 1 - chanceAllOf(total - right, total, k)
}
