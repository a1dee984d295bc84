/** @file The caps that the spenders and their test agree on. */
import { random } from '../../src/base/random.ts'

/** In nano-dollars: from nothing to some hundred requests of a spender. */
export function capOf(run: number): number {
  return random(99, 'cap', run).below(60_000)
}
