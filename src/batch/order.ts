/** @file Which groups an update trains on: epochs, shuffled by problem, cut into updates and microbatches. */
import { permutation, random } from '../base/random.ts'

export interface OrderOptions {
  /** Groups of a microbatch. */
  readonly batchSize: number
  /** Microbatches of an update. */
  readonly accumulation: number
  readonly shuffle: boolean
  readonly seed: number
}

/** Updates in one pass over the data; the last may be smaller, as in Trainer. */
export function updatesPerEpoch(groupCount: number, { batchSize, accumulation }: OrderOptions): number {
  return Math.ceil(groupCount / (batchSize * accumulation))
}

/** The order of groups in an epoch: problems at random, the groups of each in file order. */
export function epochOrder(
  groups: readonly { readonly problem: string }[],
  epoch: number,
  { shuffle, seed }: OrderOptions,
): number[] {
  if (!shuffle) return groups.map((_, at) => at)
  const problems = new Map<string, number[]>()
  groups.forEach(({ problem }, at) => {
    const known = problems.get(problem)
    if (known === undefined) problems.set(problem, [at])
    else known.push(at)
  })
  const lists = [...problems.values()]
  return Array.from(permutation(lists.length, random(seed, 'order', epoch))).flatMap((at) => lists[at])
}

/**
 * The microbatches of update `update` (from 0) as indices of groups. A pure function of the options: whoever asks for an
 * update gets it, without those before.
 */
export function updateBatches(
  groups: readonly { readonly problem: string }[],
  update: number,
  options: OrderOptions,
): number[][] {
  const { batchSize, accumulation } = options
  const perEpoch = updatesPerEpoch(groups.length, options)
  const order = epochOrder(groups, Math.floor(update / perEpoch), options)
  const start = (update % perEpoch) * batchSize * accumulation
  const own = order.slice(start, start + batchSize * accumulation)
  const batches: number[][] = []
  for (let at = 0; at < own.length; at += batchSize) batches.push(own.slice(at, at + batchSize))
  return batches
}
