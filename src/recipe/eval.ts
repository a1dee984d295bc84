/** @file How well a model solves problems, and whether better than another: the `eval` command. */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { lockFolder } from '../base/lock.ts'
import type { Question } from '../data/prompt-rows.ts'
import type { Rollout } from '../data/rollout.ts'
import type { StageEvent } from '../data/stage-events.ts'
import type { JudgedRollouts, ModelRollouts } from '../eval/rollout-figures.ts'
import { type RolloutReport, reportRollouts } from '../eval/rollout-report.ts'
import { answersEqual } from '../text/answer/equal.ts'
import type { EvalSettings } from './eval-settings.ts'
import type { PolicySettings } from './generate-settings.ts'
import { judgementOf, judgeStage } from './judge-stage.ts'
import { refuseLeaks } from './pairs.ts'
import { judgeSettingsOf } from './pairs-settings.ts'
import { folderOf, type OpenPolicy, openPolicy, shortName } from './policy.ts'
import { loadQuestions } from './questions.ts'
import { type ReportNames, rolloutReportText } from './rollout-report-text.ts'
import { askingOf, sampleRollouts, samplingOf } from './sample.ts'
import type { World } from './world.ts'

export interface Evaluation {
  readonly names: ReportNames
  readonly report: RolloutReport
  /** The report as Markdown. */
  readonly text: string
}

interface Evaluating {
  readonly settings: EvalSettings
  readonly questions: readonly Question[]
  readonly world: World
  readonly folder: string
}

/**
 * Solves the problems greedily, and with samples where they are wanted; judges, counts and compares. Writes `report.json`
 * and `report.md`. Solutions and judgements that are there are not made again.
 * @returns undefined where the world's signal stopped it.
 * @throws UserError where there is nothing to measure by.
 */
export async function* evaluate(
  settings: EvalSettings,
  world: World,
): AsyncGenerator<StageEvent, Evaluation | undefined> {
  const folder = resolve(settings.output_dir)
  mkdirSync(folder, { recursive: true })
  const lock = lockFolder(folder)
  try {
    const started = world.seconds()
    const questions = yield* loadQuestions(settings.dataset_path, { ...settings, stage: 'eval' })
    if (settings.check_leak !== undefined) await refuseLeaks(questions, settings.check_leak)
    yield* warnOfUnknown(questions, settings)
    const evaluating = { settings, questions, world, folder }
    const baseline = baselineOf(settings)
    const base = baseline === undefined ? null : yield* solve(evaluating, baseline)
    const model = base === undefined ? undefined : yield* solve(evaluating, settings)
    if (base === undefined || model === undefined) return undefined
    const report = reportRollouts(model, base, { aggregations: settings.aggregations, sameAnswer: answersEqual })
    const names = namesOf(settings, baseline)
    const text = rolloutReportText(report, names)
    writeDurably(join(folder, 'report.json'), `${JSON.stringify({ ...names, report }, null, 2)}\n`)
    writeDurably(join(folder, 'report.md'), text)
    const lines = [`${questions.length} problems solved: ${join(folder, 'report.md')}`]
    yield { type: 'stage-end', stage: 'eval', lines, seconds: world.seconds() - started, folder }
    return { names, report, text }
  } finally {
    lock.release()
  }
}

function baselineOf(settings: EvalSettings): PolicySettings | undefined {
  const { baseline, adapter, ...policy } = settings
  if (baseline === 'none') return undefined
  if (baseline !== undefined) return { ...policy, base_model: baseline }
  return adapter === undefined ? undefined : policy
}

function namesOf(
  { base_model, adapter, dataset_path }: EvalSettings,
  baseline: PolicySettings | undefined,
): ReportNames {
  return {
    data: shortName(dataset_path),
    model: shortName(adapter ?? base_model),
    base: baseline === undefined ? null : shortName(baseline.base_model),
  }
}

/** Without answers there is no accuracy; without a judge nothing is left to tell. */
function* warnOfUnknown(
  questions: readonly Question[],
  { reward_model, dataset_path }: EvalSettings,
): Generator<StageEvent> {
  const unknown = questions.filter(({ answer }) => answer === null).length
  if (unknown === 0) return
  if (unknown === questions.length && reward_model === undefined) {
    throw new UserError(
      `${dataset_path}: no problem has a known answer, so nothing can be counted; name a --reward_model`,
    )
  }
  yield {
    type: 'warning',
    message: `${unknown} of ${questions.length} problems have no known answer: no accuracy counts them`,
  }
}

async function* solve(
  evaluating: Evaluating,
  policySettings: PolicySettings,
): AsyncGenerator<StageEvent, ModelRollouts | undefined> {
  const { settings, folder, world } = evaluating
  const policy = await openPolicy(policySettings, world)
  try {
    const path = (kind: string): string => join(folder, folderOf(policy.generator), `${kind}.jsonl`)
    const greedy = yield* solveOnce(evaluating, policy, 1, path('greedy'))
    if (greedy === undefined) return undefined
    const isSampled = settings.num_samples > 1
    const samples = isSampled ? yield* solveOnce(evaluating, policy, settings.num_samples, path('samples')) : []
    if (samples === undefined) return undefined
    const judged = yield* judgeAll(
      evaluating,
      [path('greedy'), ...(isSampled ? [path('samples')] : [])],
      [...greedy, ...samples],
    )
    return judged && { greedy, samples, judgements: judged }
  } finally {
    await policy.dispose()
  }
}

function solveOnce(
  { settings, questions, world }: Evaluating,
  { generator }: OpenPolicy,
  samples: number,
  path: string,
): AsyncGenerator<StageEvent, readonly Rollout[] | undefined> {
  const { temperature, ...sampling } = settings
  const beginnings = questions.map((question) => ({ question, continued: settings.answer_start }))
  return sampleRollouts({
    stage: 'eval',
    generator,
    beginnings,
    samples,
    sampling: samplingOf({ ...sampling, num_samples: samples, temperature: samples === 1 ? 0 : temperature }),
    asking: askingOf(settings),
    path,
    world,
  })
}

/** The verdicts of the judge, if one is named, by its name. */
async function* judgeAll(
  { settings, folder, world }: Evaluating,
  paths: readonly string[],
  rollouts: readonly Rollout[],
): AsyncGenerator<StageEvent, ReadonlyMap<string, JudgedRollouts> | undefined> {
  const { reward_model, splitter } = settings
  const verdicts = new Map<string, JudgedRollouts>()
  if (reward_model === undefined) return verdicts
  const judgeSettings = judgeSettingsOf({ ...settings, reward_model })
  for (const path of paths) {
    const judged = yield* judgeStage({ settings: judgeSettings, splitter, path, folder: join(folder, 'judge'), world })
    if (judged === undefined) return undefined
    const known = rollouts.flatMap((rollout) => {
      const judgement = judgementOf(rollout, judged.byId)
      return judgement === undefined ? [] : [[rollout.id, judgement.steps] as const]
    })
    verdicts.set(judged.judge, new Map(known))
  }
  return verdicts
}
