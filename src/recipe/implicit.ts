/** @file Implicit rewards of steps: a trained policy against its reference, as rows (`score --implicit`) and as a judge. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { InputError, UserError } from '../base/errors.ts'
import type { Row } from '../base/lines.ts'
import { readJudgeRow } from '../data/judge-rows.ts'
import { solutionId } from '../data/labels.ts'
import { findDataFile } from '../data/locate.ts'
import { promptIds } from '../data/prompt-ids.ts'
import type { Prompt } from '../data/records.ts'
import { readRows } from '../data/rows.ts'
import { type Bad, isColumns } from '../data/schema.ts'
import { scoreRow as completionsOf } from '../data/score-row.ts'
import { hubTitle } from '../interop/hub-name.ts'
import {
  type ImplicitModel,
  type ImplicitReward,
  implicitJudge,
  implicitRewards,
  whyBeyond,
} from '../judge/implicit.ts'
import { framedProblem, problemFrame } from '../judge/problem-frame.ts'
import { readJsonFile } from '../model/load.ts'
import { weightLayers } from '../model/pass.ts'
import { parseSplitter, type Splitter, splitSteps } from '../text/steps.ts'
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts'
import type { ScoreSettings } from './command-settings.ts'
import type { Place } from './device.ts'
import { fingerprintOf, type LocalPath, locateModel, type OpenJudge } from './local-model.ts'
import { openModel } from './score.ts'

/** The β of `train` where it says nothing. */
const DEFAULT_BETA = 0.4
const DEFAULT_SEPARATOR = '\n'

const recorded = z.looseObject({ beta: z.number().positive().optional(), step_separator: z.string().optional() })

/** What a run has written down of itself in the folder of what it trained. */
function recordedSettings({ base_model, adapter = base_model }: LocalPath): z.infer<typeof recorded> {
  const file = join(adapter, 'training_args.json')
  if (!existsSync(file)) return {}
  const parsed = recorded.safeParse(readJsonFile(file))
  if (parsed.success) return parsed.data
  throw new InputError({ file }, 'the settings of a run', parsed.error.issues[0].message)
}

interface OpenImplicit extends ImplicitModel {
  readonly separator: string
  dispose(): Promise<void>
}

interface Pairing extends LocalPath, Place {
  /** Default: the base model without the adapter. */
  readonly reference_model?: string
  readonly beta?: number
}

/** @throws UserError where nothing says what the policy was trained from. */
async function openImplicit({ reference_model, beta, ...place }: Pairing): Promise<OpenImplicit> {
  if (place.adapter === undefined && reference_model === undefined) {
    throw new UserError(
      `${place.base_model} is a whole model: name the adapter, or what it was trained from as --reference_model`,
    )
  }
  const written = recordedSettings(place)
  const policy = await openModel(place)
  const { threads, device } = place
  const other =
    reference_model === undefined ? undefined : await openModel({ base_model: reference_model, threads, device })
  return {
    policy,
    reference: other ?? { name: place.base_model, machine: policy.machine, layers: weightLayers(policy.machine) },
    beta: beta ?? written.beta ?? DEFAULT_BETA,
    separator: written.step_separator ?? DEFAULT_SEPARATOR,
    dispose: async () => {
      await policy.machine.dispose()
      await other?.machine.dispose()
    },
  }
}

/** A step as it is written: what is shown of it, and its characters with those up to the next step. */
interface WrittenStep {
  readonly text: string
  readonly written: string
}

interface WrittenSolution {
  /** Of a solution whose steps stand apart, as labels and traces name it. */
  readonly id?: string | undefined
  readonly prompt: Prompt
  readonly steps: readonly WrittenStep[]
}

/** Every step but the last is followed by the separator, as in training; no end of turn is added. */
function writeSteps(steps: readonly string[], separator: string): WrittenStep[] {
  return steps.map((text, at) => ({ text, written: at < steps.length - 1 ? text + separator : text }))
}

/** The steps of `{prompt, completion}`, character by character, or those that a row has apart. */
function readSolution(row: Row, splitter: Splitter, separator: string): WrittenSolution | Bad {
  if ('problem' in row) return { bad: row.problem }
  // A rollout has its completion, too, but beside its steps and its problem.
  if (isColumns(row.value) && typeof row.value.completion === 'string' && row.value.steps == null) {
    const completions = completionsOf(row.value)
    if ('bad' in completions) return completions
    const [{ prompt, completion }] = completions
    if (prompt === null || typeof completion !== 'string') return { bad: 'expected prompt and completion' }
    const { before, steps } = splitSteps(completion, splitter)
    if (steps.length === 0) return { bad: 'completion: there is no step in it' }
    const written = steps.map(({ text, after }, at) => ({ text, written: (at === 0 ? before : '') + text + after }))
    return { prompt, steps: written }
  }
  const reading = readJudgeRow(row.value, splitter)
  if ('bad' in reading) return reading
  if ('dropped' in reading) return { bad: reading.dropped }
  const { problem, steps } = reading.row.solution
  const prompt = { messages: [{ role: 'user', content: problem }] }
  return { id: solutionId(problem, steps), prompt, steps: writeSteps(steps, separator) }
}

export interface StepReward extends ImplicitReward {
  readonly text: string
  readonly tokens: number
}

/** What became of a row. */
export type RewardedRow = { readonly line: number } & (
  | { readonly id?: string | undefined; readonly beta: number; readonly steps: readonly StepReward[] }
  | { readonly problem: string }
)

/**
 * The rewards of the steps of every row of a file, in order.
 * @throws InputError for the first bad row where `strict`; UserError for a file, model or adapter that cannot be used.
 */
export async function* scoreImplicitly(settings: ScoreSettings): AsyncGenerator<RewardedRow> {
  const { base_model, adapter, reference_model, beta, threads, device } = settings
  const file = findDataFile(settings.dataset_path)
  const splitter = parseSplitter(settings.splitter)
  const tokenizer = loadTokenizer(base_model)
  const model = await openImplicit({ base_model, adapter, reference_model, beta, threads, device })
  const separator = settings.step_separator ?? model.separator
  try {
    for await (const row of readRows(file)) {
      const solution = readSolution(row, splitter, separator)
      const steps = 'bad' in solution ? solution : await rewardsOf(model, solution, tokenizer)
      if (!('bad' in steps))
        yield { line: row.line, ...('id' in solution && { id: solution.id }), beta: model.beta, steps }
      else if (settings.strict) throw new InputError({ file, line: row.line }, 'a solution in steps', steps.bad)
      else yield { line: row.line, problem: steps.bad }
    }
  } finally {
    await model.dispose()
  }
}

async function rewardsOf(model: ImplicitModel, { prompt, steps }: WrittenSolution, tokenizer: Tokenizer) {
  const isRendered = 'raw' in prompt
  const ids = steps.map(({ written }) =>
    isRendered ? tokenizer.encodeRenderedContinuation(written) : tokenizer.encodeContinuation(written),
  )
  const before = promptIds(prompt, () => tokenizer)
  if (before.length === 0) return { bad: 'the prompt is empty' }
  const bad = whyBeyond(model, before.length + ids.flat().length)
  if (bad !== undefined) return { bad }
  const rewards = await implicitRewards(model, { prompt: before, steps: ids })
  return rewards.map((reward, at): StepReward => ({ text: steps[at].text, tokens: ids[at].length, ...reward }))
}

/**
 * The judge `implicit:PATH`.
 * @param path an adapter's folder; its base model is the reference.
 * @throws UserError for a whole model, and for what is missing.
 */
export async function openImplicitJudge(path: string, { threads, device }: Place): Promise<OpenJudge> {
  const place = locateModel(path)
  if (place.adapter === undefined) {
    throw new UserError(`implicit:${path}: expected the folder of an adapter, whose base model is the reference`)
  }
  const tokenizer = loadTokenizer(place.base_model)
  const promptOf = framedProblem(problemFrame(tokenizer), tokenizer)
  const model = await openImplicit({ ...place, threads, device })
  const name = `implicit:${hubTitle(path) ?? path} policy@${fingerprintOf(place).slice(0, 12)} beta ${model.beta}`
  const judge = implicitJudge(name, model, ({ problem, steps }) => ({
    prompt: promptOf(problem),
    steps: writeSteps(steps, model.separator).map(({ written }) => tokenizer.encodeContinuation(written)),
  }))
  return { judge, close: model.dispose }
}
