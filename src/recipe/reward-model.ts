/** @file The judge as the original README names it: `new StepwiseRewardModel({ modelName }).evaluate(prompt, generation)`. */
import { randomUUID } from 'node:crypto'
import { stepsOf } from '../data/judge-row.ts'
import type { JudgedStep } from '../data/judgement.ts'
import { type AggregationName, type AggregationOptions, aggregate, type PositionWeight } from '../judge/aggregate.ts'
import { NO_USAGE, type Solution, type Usage } from '../judge/port.ts'
import type { AiSdkModel } from '../judge/providers/ai-sdk.ts'
import type { Splitter } from '../text/steps.ts'
import { type JudgeParts, openJudge } from './judge-parts.ts'
import { type JudgeSettings, judgeFieldsSchema } from './judge-settings.ts'
import { systemWorld, type World } from './world.ts'

export interface RewardModelOptions {
  /** `gpt-4`, `claude-…`, `provider:model[@baseURL]`, `local:PATH`, `arithmetic`; or a language model of the AI SDK. */
  readonly modelName: string | readonly string[] | AiSdkModel
  /** A named way from scores of steps to one score, or the weights of a mean by position. Default: product. */
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
  readonly #options: RewardModelOptions
  readonly #world: World
  #parts: Promise<JudgeParts> | undefined

  /** Nothing is loaded or sent before the first evaluation. */
  constructor(options: RewardModelOptions, world: World = systemWorld()) {
    this.#options = options
    this.#world = world
  }

  #open(): Promise<JudgeParts> {
    const { modelName, args = {} } = this.#options
    const names = typeof modelName === 'string' ? [modelName] : isNames(modelName) ? [...modelName] : ['ai-sdk']
    const settings = judgeFieldsSchema.parse({ ...args, reward_model: names })
    const model = typeof modelName === 'string' || isNames(modelName) ? undefined : modelName
    this.#parts ??= openJudge({ settings, world: this.#world, run: `api-${randomUUID()}`, purpose: 'evaluate', model })
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
    const { aggregation = 'product', aggregationOptions, splitter = 'auto' } = this.#options
    const texts = typeof generation === 'string' ? stepsOf(generation, splitter) : generation
    const solution: Solution = { problem: prompt, steps: texts, ...(reference !== undefined && { reference }) }
    const parts = await this.#open()
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

  async close(): Promise<void> {
    const parts = await this.#parts
    this.#parts = undefined
    await parts?.close()
  }
}

function isNames(modelName: readonly string[] | AiSdkModel): modelName is readonly string[] {
  return Array.isArray(modelName)
}
