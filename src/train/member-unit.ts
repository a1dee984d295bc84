/** @file Losses of single members, desirable or not: KTO and its kin, which need no pairs. */
import type { EncodedGroup, MemberDetails } from '../batch/encode.ts'
import { type PackedRow, type PackOptions, packMembers } from '../batch/pack.ts'
import { klBaseline, memberLoss } from './member-loss.ts'
import type { Objective } from './objective.ts'
import { type ScoredRow, spread, type Weights, weigh, weightsOf } from './scored.ts'
import type { RowSlopes, UnitLoss, UnitPlace } from './unit.ts'

export interface MemberObjective extends Objective {
  readonly packing: PackOptions
}

/** A member of a row: its tokens, and whether it is one to write. */
interface Unpaired {
  readonly continuation: number
  readonly details: MemberDetails
  readonly isDesirable: boolean
  readonly weights: Weights
}

const NO_DETAILS = { rating: 0, count: 1, stepEnds: [], stepScores: [] }

function membersOf(packed: PackedRow): Unpaired[] {
  return packed.sources.map(({ group, member }, continuation) => {
    const details = group.details?.[member] ?? NO_DETAILS
    const isDesirable = details.rating > 0
    return {
      continuation,
      details,
      isDesirable,
      weights: weightsOf(packed, continuation, isDesirable ? 'chosen' : 'rejected'),
    }
  })
}

/** A part of a member that is judged by itself: all of it, or its steps up to one. */
interface Judged {
  /** Its tokens end here. */
  readonly end: number
  readonly isDesirable: boolean
}

/** The steps of a member that somebody scored, each with all before it. */
function judgedSteps({ stepEnds, stepScores }: MemberDetails): Judged[] {
  return stepEnds.flatMap((end, at) => {
    const score = stepScores[at]
    return score === null ? [] : [{ end, isDesirable: score >= 0.5 }]
  })
}

/** The log-probabilities of a member's first tokens under policy and reference. */
function sums({ policy, reference }: ScoredRow, { continuation, weights }: Unpaired, end: number) {
  const first = (values: ArrayLike<number>): number =>
    weigh(
      Array.from({ length: end }, (_, at) => values[at]),
      weights,
    )
  return { logp: first(policy[continuation]), reference: first(reference[continuation]) }
}

/** What the reward of a completion is compared with: that of completions that answer another question. */
interface Baselines {
  readonly whole: number
  readonly step: number
}

/**
 * Completions after the prompts of other problems: each member's prompt with the next member of another problem. Their
 * log ratios estimate KL(π ‖ ρ), as in TRL's KTOTrainer, which takes them from the batch too.
 */
function mismatch(groups: readonly EncodedGroup[], maxRowTokens: number): EncodedGroup[] {
  const all = groups.flatMap((group) => group.members.map((_, member) => ({ group, member })))
  return all.flatMap(({ group }, at): EncodedGroup[] => {
    let other = all[(at + 1) % all.length]
    for (let steps = 2; other.group.problem === group.problem && steps <= all.length; steps++) {
      other = all[(at + steps) % all.length]
    }
    if (other.group.problem === group.problem) return []
    const ids = other.group.members[other.member]
    if (group.prefix.flat().length + ids.length > maxRowTokens) return []
    const details = other.group.details?.[other.member] ?? NO_DETAILS
    return [{ problem: `${at}`, prefix: group.prefix, members: [ids], pairs: [], details: [details] }]
  })
}

async function measureBaselines({ groups, scoreOther }: UnitPlace, { packing }: MemberObjective): Promise<Baselines> {
  const ratios = { whole: [] as number[], step: [] as number[] }
  for (const [at, packed] of packMembers(mismatch(groups, packing.maxRowTokens), packing.maxRowTokens).entries()) {
    const scored = await scoreOther(packed, `other.${at}`)
    for (const member of membersOf(packed)) {
      const ratioAt = (end: number): number => {
        const { logp, reference } = sums(scored, member, end)
        return logp - reference
      }
      ratios.whole.push(ratioAt(packed.continuations[member.continuation].length))
      ratios.step.push(...judgedSteps(member.details).map(({ end }) => ratioAt(end)))
    }
  }
  return { whole: klBaseline(ratios.whole), step: klBaseline(ratios.step) }
}

/** Sums of what TRL's KTOTrainer logs. */
interface Side {
  weight: number
  reward: number
  logp: number
}

function sideMetrics(chosen: Side, rejected: Side): Record<string, number> {
  const mean = (name: string, { weight, reward, logp }: Side): [string, number][] =>
    weight === 0
      ? []
      : [
          [`rewards/${name}`, reward / weight],
          [`logps/${name}`, logp / weight],
        ]
  const found = Object.fromEntries([...mean('chosen', chosen), ...mean('rejected', rejected)])
  const both = chosen.weight > 0 && rejected.weight > 0
  return { ...found, ...(both && { 'rewards/margins': found['rewards/chosen'] - found['rewards/rejected'] }) }
}

const noSide = (): Side => ({ weight: 0, reward: 0, logp: 0 })

/** How the losses of an update are taken: of members, and with `step_kto` of their scored steps too. */
interface Measure {
  readonly objective: MemberObjective
  readonly baselines: Baselines
  stepsOf(member: Unpaired): readonly Judged[]
  /** Members and scored steps of the whole update. */
  readonly total: number
  readonly stepTotal: number
}

const NOTHING_ABOVE = { whole: 0, step: 0 }

async function measureUpdate(objective: MemberObjective, place: UnitPlace): Promise<Measure> {
  const [{ type }] = objective.terms
  const stepsOf = type === 'step_kto' ? ({ details }: Unpaired) => judgedSteps(details) : () => []
  const all = place.rows.flatMap(membersOf)
  return {
    objective,
    stepsOf,
    baselines: type === 'apo_zero_unpaired' ? NOTHING_ABOVE : await measureBaselines(place, objective),
    total: all.reduce((sum, { details }) => sum + details.count, 0),
    stepTotal: all.reduce((sum, member) => sum + member.details.count * stepsOf(member).length, 0),
  }
}

/** The loss of a member, and its gradient by every token. */
function lossOfMember(measure: Measure, scored: ScoredRow, member: Unpaired, dLogps: Float64Array): number {
  const { objective, baselines, total, stepTotal } = measure
  const { continuation, details, isDesirable, weights } = member
  const tokens = scored.packed.continuations[continuation]
  const learn = (end: number, desirable: boolean, klBaseline: number, count: number): number => {
    const sum = sums(scored, member, end)
    const { value, dLogp } = memberLoss('kto', { ...sum, desirable }, { ...objective, klBaseline })
    spread((objective.terms[0].weight * details.count * dLogp) / count, tokens.subarray(0, end), weights, dLogps)
    return objective.terms[0].weight * value
  }
  let value = learn(tokens.length, isDesirable, baselines.whole, total)
  for (const step of measure.stepsOf(member)) {
    value += (total / stepTotal) * learn(step.end, step.isDesirable, baselines.step, stepTotal)
  }
  return value
}

/**
 * The mean loss over all members. `step_kto` (Lin et al. 2025) adds the mean over all scored steps, each with those before
 * it, against a baseline of their own; `apo_zero_unpaired` is `kto` with the baseline 0.
 */
export const memberUnit: UnitLoss<MemberObjective> = {
  begin: async (objective, place) => {
    const measure = await measureUpdate(objective, place)
    const sides = { chosen: noSide(), rejected: noSide() }
    return {
      slopes: (scored): RowSlopes => {
        const dLogps = new Float64Array(scored.packed.row.scored.length)
        const losses = membersOf(scored.packed).map((member) => {
          const { details, continuation, isDesirable } = member
          const { logp, reference } = sums(scored, member, scored.packed.continuations[continuation].length)
          const side = isDesirable ? sides.chosen : sides.rejected
          side.weight += details.count
          side.reward += details.count * objective.beta * (logp - reference)
          side.logp += details.count * logp
          return { value: lossOfMember(measure, scored, member, dLogps), weight: details.count }
        })
        return { losses, dLogps }
      },
      metrics: () => ({ ...sideMetrics(sides.chosen, sides.rejected), kl: measure.baselines.whole }),
    }
  },
}
