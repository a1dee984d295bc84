/** @file Packed rows through policy and reference: what losses and metrics follow from. */
import type { PackedRow } from '../batch/pack.ts'
import type { FloatArray } from '../engine/backend.ts'
import type { FedLayers, Keeping } from '../model/forward.ts'
import type { TokenScores } from '../model/head-pass.ts'
import type { Learner } from '../model/learner.ts'
import type { Machine } from '../model/machine.ts'
import { forwardRowWith, type RowPass, referenceStates, scoreRow, scoreRowWithKl, weightLayers } from '../model/pass.ts'
import { continuationKeys, type ReferenceCache } from './reference.ts'
import { type ByToken, byToken, type ScoredRow } from './scored.ts'

/** What turns groups into gradients. */
export interface Policy {
  readonly machine: Machine
  readonly learner: Learner
  /** A machine with the weights from before training: the same one where only an adapter learns. */
  readonly reference: Machine
  /** Undefined where the reference moves: then nothing of it can be kept. */
  readonly cache: ReferenceCache | undefined
  readonly keeping: Exclude<Keeping, 'nothing'>
}

/** What the losses of a run ask of a row beside the policy's log-probabilities. */
export interface Asked {
  readonly reference: boolean
  /** KL(reference ‖ policy) of every token's distribution. */
  readonly kl: boolean
  /** log Σ π² of the same. */
  readonly collision: boolean
}

/** The reference's log-probabilities by token: from the cache, or computed for the row and put there. */
export async function referenceTokens(
  machine: Machine,
  packed: PackedRow,
  cache: ReferenceCache | undefined,
): Promise<ByToken> {
  const keys = cache === undefined ? [] : continuationKeys(packed)
  const known = packed.continuations.map((_, at) => cache?.get(keys[at]))
  if (!known.includes(undefined)) return known.flatMap((logps) => logps ?? [])
  const computed = byToken(packed, await scoreRow(machine, packed.row, weightLayers(machine)))
  return known.map((logps, at) => {
    if (logps !== undefined) return logps
    const own = Float32Array.from(computed[at])
    // What is not finite is for the caller to name, not for later runs to find.
    if (own.every(Number.isFinite)) cache?.put(keys[at], own)
    return own
  })
}

type Scoring = Pick<Policy, 'machine' | 'reference' | 'cache'>

async function referenceOf({ reference, cache }: Scoring, packed: PackedRow, asked: Asked): Promise<ByToken> {
  if (!asked.reference) return packed.continuations.map(({ length }) => new Float32Array(length))
  return await referenceTokens(reference, packed, cache)
}

/** A row under policy and reference, without what a backward pass needs. */
export async function scorePacked(
  policy: Scoring,
  packed: PackedRow,
  layers: FedLayers,
  asked: Asked,
): Promise<ScoredRow> {
  const reference = await referenceOf(policy, packed, asked)
  return { packed, reference, ...(await policyTokens(policy, packed, layers, asked)) }
}

async function policyTokens({ machine, reference }: Scoring, packed: PackedRow, layers: FedLayers, asked: Asked) {
  if (!asked.kl) return { policy: byToken(packed, await scoreRow(machine, packed.row, layers)) }
  const hidden = await referenceStates(reference, packed.row, weightLayers(reference))
  const { logps, kl } = await scoreRowWithKl(machine, packed.row, layers, { machine: reference, hidden })
  return { policy: byToken(packed, logps), kl: byToken(packed, kl) }
}

/** The same, with the pass that can be gone back and what the head says of each scored token. */
export async function forwardPacked(
  policy: Policy,
  packed: PackedRow,
  layers: FedLayers,
  asked: Asked,
): Promise<{ readonly scored: ScoredRow; readonly pass: RowPass; readonly scores: TokenScores }> {
  const reference = await referenceOf(policy, packed, asked)
  const hidden = asked.kl
    ? await referenceStates(policy.reference, packed.row, weightLayers(policy.reference))
    : undefined
  const pass = await forwardRowWith(policy.machine, packed.row, layers, {
    keeping: policy.keeping,
    ...(asked.collision && { collision: true }),
    ...(hidden !== undefined && { reference: { machine: policy.reference, hidden } }),
  })
  const { logps, kl, logCollision } = pass.scores
  const optional = (values: FloatArray | undefined): ByToken | undefined =>
    values === undefined ? undefined : byToken(packed, values)
  const [kls, collision] = [optional(kl), optional(logCollision)]
  const scored = {
    packed,
    policy: byToken(packed, logps),
    reference,
    ...(kls !== undefined && { kl: kls }),
    ...(collision !== undefined && { collision }),
  }
  return { scored, pass, scores: pass.scores }
}
