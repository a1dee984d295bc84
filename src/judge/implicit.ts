/**
 * @file A trained policy as a judge of steps: its reward of a step, β Σ log(π/ρ) over the step's tokens, against the reference
 * it was trained from (Yuan et al. 2024, "Free Process Rewards without Process Labels", arXiv 2412.01981).
 */
import { refuseNotFinite } from '../model/finite.ts'
import type { FedLayers } from '../model/forward.ts'
import type { Machine } from '../model/machine.ts'
import { scoreRow } from '../model/pass.ts'
import { whyTooLong } from '../model/rope.ts'
import { sequenceRow } from '../model/row.ts'
import { inTurn } from './in-turn.ts'
import { NO_USAGE, type Solution, type StepJudge, type StepVerdict, type StepVerdicts } from './port.ts'
import { unaskedSteps } from './unasked.ts'

/** A model that gives tokens their log-probabilities. */
export interface Scorer {
  /** For messages. */
  readonly name: string
  readonly machine: Machine
  readonly layers: FedLayers
}

export interface ImplicitModel {
  readonly policy: Scorer
  readonly reference: Scorer
  readonly beta: number
}

/** A solution in tokens. */
export interface SolutionTokens {
  readonly prompt: readonly number[]
  readonly steps: readonly (readonly number[])[]
}

/** Log-probabilities are sums over the tokens of a step. */
export interface ImplicitReward {
  readonly policy: number
  readonly reference: number
  /** β (policy − reference). */
  readonly reward: number
  /** Of this step and all before it. */
  readonly cumulative: number
}

/** Why so many tokens are too long for the policy or the reference; undefined where they are not. */
export function whyBeyond({ policy, reference }: ImplicitModel, tokens: number): string | undefined {
  return whyTooLong(policy.machine.config, tokens) ?? whyTooLong(reference.machine.config, tokens)
}

/**
 * The reward of each step. The prompt must not be empty.
 * @throws UserError where the numbers of policy or reference are not finite.
 */
export async function implicitRewards(
  model: ImplicitModel,
  { prompt, steps }: SolutionTokens,
): Promise<ImplicitReward[]> {
  const row = sequenceRow([...prompt, ...steps.flat()], prompt.length)
  const sums: number[][] = []
  for (const { name, machine, layers } of [model.policy, model.reference]) {
    const logps = await scoreRow(machine, row, layers)
    refuseNotFinite(name, logps)
    let end = 0
    sums.push(
      steps.map(({ length }) => {
        let sum = 0
        for (const start = end; end < start + length; end++) sum += logps[end]
        return sum
      }),
    )
  }
  const [policies, references] = sums
  let cumulative = 0
  return policies.map((policy, at) => {
    const reward = model.beta * (policy - references[at])
    cumulative += reward
    return { policy, reference: references[at], reward, cumulative }
  })
}

/**
 * A step's score is σ(reward): under Bradley and Terry's model, the chance that it is preferred to a step that training has made
 * neither more nor less likely. 0.5 is no opinion.
 */
export function implicitJudge(
  name: string,
  model: ImplicitModel,
  encode: (solution: Solution) => SolutionTokens,
): StepJudge {
  const judge = async (solution: Solution): Promise<StepVerdicts> => {
    const tokens = encode(solution)
    const unasked = unaskedSteps(solution.steps)
    const promptTokens = tokens.prompt.length + tokens.steps.flat().length
    const long = whyBeyond(model, promptTokens)
    if (long !== undefined)
      return { steps: unasked.map((why) => ({ state: 'abstained', why: why ?? long })), usage: NO_USAGE }
    const rewards = await implicitRewards(model, tokens)
    const steps = unasked.map((why, at): StepVerdict => {
      if (why !== undefined) return { state: 'abstained', why }
      const score = 1 / (1 + Math.exp(-rewards[at].reward))
      return { state: 'scored', score, label: score >= 0.5 ? 'correct' : 'incorrect', why: '' }
    })
    return { steps, usage: { ...NO_USAGE, calls: 1, promptTokens } }
  }
  return { name, meaning: 'correctness', judge: inTurn(judge) }
}
