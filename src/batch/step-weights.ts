/**
 * @file What of its solutions an objective compares. `lr = Σ_k ω_k Σ_{t in step k} (log π − log ρ)`: DPO, Step-DPO, SCDPO and
 * Full-Step-DPO are weights ω of steps. A step of weight 0 behind the others is not computed at all.
 */
import type { Group, Member, Segment, SolutionStep } from '../data/records.ts'

export type StepObjective = 'step_dpo' | 'dpo' | 'scdpo' | 'full_step_dpo' | 'custom'

/** A step of a side, in text or ids. */
export interface SidePiece {
  readonly content: Segment
  /** Whether it ends the solution. */
  readonly terminal: boolean
  readonly score: number | null
  readonly weight: number | null
}

/** A step of a side in tokens. */
export interface WeighedStep {
  readonly tokens: number
  readonly score: number | null
  readonly weight: number | null
}

/** The weight of each step of a side where it is the chosen one, and where it is the rejected one. */
export interface RoleWeights {
  readonly chosen: readonly number[]
  readonly rejected: readonly number[]
}

interface Rule {
  /** Whether the steps of the prefix are compared too, not only read. */
  readonly comparesPrefix: boolean
  /** Whether a side is all that follows in its solution, not the row's own step alone. */
  readonly goesOn: boolean
  /** Undefined: every step counts once. */
  weigh?(steps: readonly WeighedStep[], temperature: number): RoleWeights | Flaw
}

interface Flaw {
  readonly flaw: string
}

const rules: { readonly [O in StepObjective]: Rule } = {
  /** Lai et al. 2024: one step after a common prefix. */
  step_dpo: { comparesPrefix: false, goesOn: false },
  /** Rafailov et al. 2023: whole solutions. */
  dpo: { comparesPrefix: true, goesOn: true },
  /** Lu et al. 2024: everything from the first step that differs. */
  scdpo: { comparesPrefix: false, goesOn: true },
  full_step_dpo: { comparesPrefix: false, goesOn: true, weigh: byScores },
  custom: { comparesPrefix: false, goesOn: true, weigh: asGiven },
}

/**
 * n · softmax over the n tokens of a side of ± temperature · score: where a side is chosen its good steps count more,
 * where it is rejected its bad ones (Xu et al. 2025, Full-Step-DPO, with its weights in DPO's margin). Steps without a
 * score count once.
 */
function byScores(steps: readonly WeighedStep[], temperature: number): RoleWeights | Flaw {
  const scored = steps.filter(({ score }) => score !== null)
  if (scored.length === 0) return { flaw: 'objective full_step_dpo: no step of a side has a score' }
  const tokens = scored.reduce((total, step) => total + step.tokens, 0)
  const softmax = (sign: number): number[] => {
    const powers = steps.map(({ score }) => (score === null ? null : Math.exp(sign * temperature * score)))
    const total = powers.reduce<number>((sum, power, at) => sum + (power ?? 0) * steps[at].tokens, 0)
    return powers.map((power) => (power === null ? 1 : (tokens * power) / total))
  }
  return { chosen: softmax(1), rejected: softmax(-1) }
}

function asGiven(steps: readonly WeighedStep[]): RoleWeights | Flaw {
  const weights = steps.map(({ weight }) => weight ?? 0)
  if (weights.every((weight) => weight === 0)) return { flaw: 'objective custom: no step of a side has a weight' }
  return { chosen: weights, rejected: weights }
}

/** Members that end before their solution does, where the objective would compare the rest too and the row has none. */
export function countCutShort(groups: readonly Group[], objective: StepObjective): number {
  if (!rules[objective].goesOn) return 0
  const isCut = ({ terminal, solution }: Member): boolean => !terminal && solution === undefined
  return groups.reduce((count, { members }) => count + members.filter(isCut).length, 0)
}

/** What stands before the sides of a group. */
export function comparedPrefix({ prefix }: Group, objective: StepObjective): readonly Segment[] {
  return rules[objective].comparesPrefix ? [] : prefix
}

/** A member of a group as a side, step by step. */
export function sidePieces({ prefix }: Group, member: Member, objective: StepObjective): SidePiece[] {
  const { comparesPrefix, goesOn } = rules[objective]
  const read = comparesPrefix ? prefix.map((content) => ({ content, terminal: false, score: null, weight: null })) : []
  const { solution } = member
  if (!goesOn || solution === undefined) {
    return [...read, { content: member.content, terminal: member.terminal, score: member.score ?? null, weight: null }]
  }
  const last = solution.steps.length - 1
  const toPiece = (step: SolutionStep, at: number): SidePiece => ({
    ...step,
    terminal: at === last && solution.terminal,
  })
  return [...read, ...solution.steps.map(toPiece)]
}

/**
 * The weights of the steps of a side; undefined where all count once, or the reason why it cannot be used.
 * @param ownWeights whether the row itself weighs the tokens of the side.
 */
export function weighSteps(
  steps: readonly WeighedStep[],
  objective: StepObjective,
  temperature: number,
  ownWeights: boolean,
): RoleWeights | Flaw | undefined {
  if (objective === 'custom' && ownWeights) return undefined
  return rules[objective].weigh?.(steps, temperature)
}
