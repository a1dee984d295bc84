/** @file The judge as the original README names it: `new StepwiseRewardModel({ modelName }).evaluate(prompt, generation)`. */
import { randomUUID } from 'node:crypto'
import { UsageError } from '../base/errors.ts'
import { stepsOf } from '../data/judge-row.ts'
import type { JudgedStep } from '../data/judgement.ts'
import { type AggregationName, type AggregationOptions, aggregate, type PositionWeight } from '../judge/aggregate.ts'
import type { Comparison } from '../judge/pairwise.ts'
import { NO_USAGE, type Solution, type StepJudge, type Usage } from '../judge/port.ts'
import { parseJudgeName, parseKey } from '../judge/provider.ts'
import type { AiSdkModel } from '../judge/providers/ai-sdk.ts'
import type { Secret } from '../judge/secret.ts'
import type { Splitter } from '../text/steps.ts'
import { type JudgeParts, openJudge } from './judge-parts.ts'
import { type JudgeSettings, judgeFieldsSchema } from './judge-settings.ts'
import { systemWorld, type World } from './world.ts'

export interface RewardModelOptions {
  /** `gpt-4`, `claude-…`, `provider:model[@baseURL]`, `local:PATH`, `arithmetic`; a language model of the AI SDK; a judge of one's own. */
  readonly modelName: string | readonly string[] | AiSdkModel | StepJudge
  /** For the one model of `modelName`, instead of the key in its environment variable. */
  readonly apiKey?: string
  /** Where the one model of `modelName` is, as `@baseURL` in its name. */
  readonly baseURL?: string
  /**
   * A named way from scores of steps to one score, or the weights of a mean by position. Default: `product` where scores
   * say whether a step is right, `last` where they say how likely the answer is from there.
   */
  readonly aggregation?: AggregationName | PositionWeight
  readonly aggregationOptions?: Partial<AggregationOptions>
  /** How a generation is cut into steps. Default: auto. */
  readonly splitter?: Splitter
  /** Every other setting of a judge, under its flag's name. */
  readonly args?: Partial<Omit<JudgeSettings, 'reward_model' | 'aggregation'>>
}

export interface Evaluation {
  /** Null where no step was scored. `String(evaluation)` is this number. */
  readonly score: number | null
  readonly steps: readonly JudgedStep[]
  readonly aggregation: string
  /** The share of steps that were scored. */
  readonly coverage: number
  readonly usage: Usage
}

export interface EvaluationInput {
  readonly prompt: string
  /** A whole text, or its steps. */
  readonly generation: string | readonly string[]
  /** A solution that is known to be right. */
  readonly reference?: string
}

/** Scores the steps of generations. Replies are cached and paid once; `close` it when no more are wanted. */
export class StepwiseRewardModel {
  readonly #options: Omit<RewardModelOptions, 'apiKey'>
  readonly #key: Secret | undefined
  readonly #world: World
  #parts: Promise<JudgeParts> | undefined

  /**
   * Nothing is loaded or sent before the first evaluation.
   * @throws UsageError for a key or an address that is none, or that is not for one named model.
   */
  constructor({ apiKey, ...options }: RewardModelOptions, world: World = systemWorld()) {
    this.#options = { ...options, modelName: addressed(options, apiKey) }
    this.#key = apiKey === undefined ? undefined : parseKey(apiKey, 'apiKey')
    this.#world = world
  }

  #open(): Promise<JudgeParts> {
    const { modelName, args = {} } = this.#options
    const names = typeof modelName === 'string' ? [modelName] : isNames(modelName) ? [...modelName] : ['given']
    const settings = judgeFieldsSchema.parse({ ...args, reward_model: names })
    const model = typeof modelName === 'string' || isNames(modelName) ? undefined : modelName
    const place = { settings, world: this.#world, model, key: this.#key }
    this.#parts ??= openJudge({ ...place, run: `api-${randomUUID()}`, purpose: 'evaluate' })
    return this.#parts
  }

  /**
   * @throws UserError for a name, key or file that is missing or wrong. What a provider does wrong is a failed step.
   */
  async evaluate(
    prompt: string,
    generation: string | readonly string[],
    { reference }: { readonly reference?: string } = {},
  ): Promise<Evaluation> {
    const { aggregationOptions, splitter = 'auto' } = this.#options
    const texts = typeof generation === 'string' ? stepsOf(generation, splitter) : generation
    const solution: Solution = { problem: prompt, steps: texts, ...(reference !== undefined && { reference }) }
    const parts = await this.#open()
    const { aggregation = parts.aggregation } = this.#options
    const { steps: verdicts, usage } =
      texts.length === 0 ? { steps: [], usage: NO_USAGE } : await parts.judge.judge(solution, this.#world.signal)
    const { score, coverage } = aggregate(verdicts, aggregation, aggregationOptions)
    const evaluation: Evaluation = {
      score,
      steps: verdicts.map((verdict, at) => ({ text: texts[at], ...verdict })),
      aggregation: typeof aggregation === 'string' ? aggregation : 'weights by position',
      coverage,
      usage,
    }
    return Object.defineProperty(evaluation, 'toString', { value: () => String(score) })
  }

  /** Evaluations in the order of the inputs, as many at once as `concurrency` lets through. */
  evaluateMany(inputs: readonly EvaluationInput[]): Promise<Evaluation[]> {
    return Promise.all(
      inputs.map(({ prompt, generation, reference }) =>
        this.evaluate(prompt, generation, reference === undefined ? {} : { reference }),
      ),
    )
  }

  /**
   * Which of two continuations of the same steps is better. Both orders are asked: where the answer turns with the order,
   * there is no winner. `measurePositionBias` of many results says how often it did.
   * @throws UserError for several judges and for rules and local models, which compare nothing; else as `evaluate`.
   */
  async compare(
    prompt: string,
    prefixSteps: readonly string[],
    [a, b]: readonly [string, string],
    { reference }: { readonly reference?: string } = {},
  ): Promise<Comparison & { readonly usage: Usage }> {
    const { pairJudge } = await this.#open()
    const prefix = { problem: prompt, steps: prefixSteps, ...(reference !== undefined && { reference }) }
    return pairJudge().compare(prefix, [a, b], this.#world.signal)
  }

  async close(): Promise<void> {
    const parts = await this.#parts
    this.#parts = undefined
    await parts?.close()
  }
}

/** The models with the address that stands beside them. */
function addressed(
  { modelName, baseURL }: RewardModelOptions,
  apiKey: string | undefined,
): RewardModelOptions['modelName'] {
  if (apiKey === undefined && baseURL === undefined) return modelName
  const parsed = typeof modelName === 'string' ? parseJudgeName(modelName) : undefined
  if (parsed?.kind !== 'chat')
    throw new UsageError('apiKey and baseURL are for one model behind an API, given by its name')
  if (baseURL === undefined) return `${modelName}`
  if (parsed.baseUrl !== undefined) throw new UsageError('baseURL: the name of the model has an address already')
  return `${modelName}@${baseURL}`
}

function isNames(modelName: readonly string[] | AiSdkModel | StepJudge): modelName is readonly string[] {
  return Array.isArray(modelName)
}
