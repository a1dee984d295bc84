/** @file The whole loop: sample, judge, pair, train, evaluate, and again with the new policy. The `run` command. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { cacheFolder } from '../base/cache-folder.ts'
import { UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { sha256, sha256File } from '../base/hash.ts'
import { parseJson } from '../base/lines.ts'
import type { RunEvent } from '../data/events.ts'
import { readDroppedPairs } from '../data/pair-review.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { ledgerPath } from '../judge/ledger.ts'
import { listCheckpoints } from '../train/checkpoint.ts'
import type { TrainInput } from './config.ts'
import { type Evaluation, evaluate } from './eval.ts'
import { generateFile, ROLLOUTS } from './generate-file.ts'
import { planJudging, tryJudge } from './judge-stage.ts'
import { makePairs, PAIRS, refuseLeaks } from './pairs.ts'
import { judgeSettingsOf } from './pairs-settings.ts'
import { servedModel } from './policy.ts'
import { loadQuestions } from './questions.ts'
import {
  evalSettingsOf,
  generateSettingsOf,
  pairsSettingsOf,
  type RunSettings,
  type Trained,
  trainSettingsOf,
} from './run-settings.ts'
import { tryTorch } from './torch.ts'
import { train } from './train.ts'
import { writeUsageLog } from './usage-log.ts'
import type { World } from './world.ts'

/** What was trained, and how it does; null without problems to measure on. */
export interface LoopResult {
  readonly policy: Trained
  readonly evaluation: Evaluation | null
}

/** Asks whether what a judge may cost may be spent. */
export type Confirm = (question: string) => Promise<boolean>

export interface LoopOptions {
  readonly confirm: Confirm
  /** Settings of training that a run has no names for: when to save, what to report to. */
  readonly training?: Partial<TrainInput>
}

const EVALUATION = 'evaluation'
const TRAINED = 'trained.json'

/**
 * Runs all stages. Each goes on with what its folder holds, and is passed over where it is done. The adapter or model of
 * the last round is left in `output_dir` itself.
 * @returns undefined where the world's signal stopped it.
 * @throws UserError for anything the user can mend.
 */
export async function* runLoop(
  settings: RunSettings,
  world: World,
  options: LoopOptions,
): AsyncGenerator<StageEvent | RunEvent, LoopResult | undefined> {
  if (servedModel(settings.base_model) !== undefined) {
    throw new UserError(
      `--base_model ${settings.base_model}: a served model is sampled, not trained; name a model folder`,
    )
  }
  const folder = resolve(settings.output_dir)
  mkdirSync(folder, { recursive: true })
  try {
    // One cap and one account for all that is judged, before, between and after.
    return yield* runStages(settings, { ...world, spender: folder }, options)
  } finally {
    const ledger = ledgerPath(cacheFolder(world.environment))
    if (existsSync(ledger)) await writeUsageLog(folder, ledger, folder)
  }
}

async function* runStages(
  settings: RunSettings,
  world: World,
  { confirm, training = {} }: LoopOptions,
): AsyncGenerator<StageEvent | RunEvent, LoopResult | undefined> {
  const folder = resolve(settings.output_dir)
  await tryTorch(settings, world)
  await tryJudge(judgeSettingsOf(settings), world)
  yield* checkProblems(settings)
  let policy: Trained = { base_model: settings.base_model }
  const measured = settings.eval_dataset_path
  if (measured !== undefined && (yield* measure(settings, policy, measured, world)) === undefined) return undefined
  for (let round = 1; round <= settings.rounds; round++) {
    const own = join(folder, `round-${round}`)
    const output = round === settings.rounds ? folder : join(own, 'policy')
    const pairs = yield* sampleAndPair({ settings, policy, own, world, confirm })
    if (pairs === undefined) return undefined
    const next = yield* trainOn({ settings, policy, own, output, world, training }, pairs)
    if (next === undefined) return undefined
    policy = next
  }
  if (measured === undefined) return { policy, evaluation: null }
  const evaluation = yield* measure(settings, policy, measured, world)
  return evaluation && { policy, evaluation }
}

/** What is measured must not be learned from. */
async function* checkProblems(settings: RunSettings): AsyncGenerator<StageEvent> {
  const { dataset_path, eval_dataset_path, allow_leak, limit } = settings
  if (eval_dataset_path === undefined || allow_leak) return
  const questions = yield* loadQuestions(dataset_path, { stage: 'generate', strict: false, ...(limit && { limit }) })
  await refuseLeaks(questions, eval_dataset_path).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error
    throw new UserError(error.message.replace('--check_leak', '--eval_dataset_path') + '; say --allow_leak to go on', {
      cause: error,
    })
  })
}

function measure(
  settings: RunSettings,
  policy: Trained,
  problems: string,
  world: World,
): AsyncGenerator<StageEvent, Evaluation | undefined> {
  return evaluate(evalSettingsOf(settings, policy, join(resolve(settings.output_dir), EVALUATION), problems), world)
}

interface Round {
  readonly settings: RunSettings
  readonly policy: Trained
  readonly own: string
  readonly world: World
}

/** Rollouts and pairs of a round: the file of pairs, or undefined where it was stopped. */
async function* sampleAndPair({
  settings,
  policy,
  own,
  world,
  confirm,
}: Round & { readonly confirm: Confirm }): AsyncGenerator<StageEvent, string | undefined> {
  for await (const event of generateFile(generateSettingsOf(settings, policy, own), world)) {
    yield event
    if (event.type === 'stage-stopped') return undefined
  }
  const rollouts = join(own, ROLLOUTS)
  const plan = await planJudging(judgeSettingsOf(settings), rollouts, join(own, 'judge'), world)
  if (plan !== null && !settings.yes && !(await confirm(`${plan}. Go on?`))) {
    throw new UserError(`nothing was spent. ${plan}: say --yes to agree`)
  }
  for await (const event of makePairs(pairsSettingsOf(settings, policy, own, rollouts), world)) {
    yield event
    if (event.type === 'stage-stopped') return undefined
  }
  return join(own, PAIRS)
}

interface TrainRound extends Round {
  readonly output: string
  readonly training: Partial<TrainInput>
}

/** Trains on the pairs, or passes over what was trained on just them; gives the new policy, or undefined where it was stopped. */
async function* trainOn(
  { settings, policy, own, output, world, training }: TrainRound,
  pairs: string,
): AsyncGenerator<StageEvent | RunEvent, Trained | undefined> {
  const wanted = trainSettingsOf(settings, policy, output, { pairs, training })
  const key = trainingKey(wanted, pairs, await readDroppedPairs(pairs))
  const next = settings.use_lora ? { base_model: settings.base_model, adapter: output } : { base_model: output }
  if (readTrained(join(own, TRAINED)) === key) {
    yield { type: 'stage-end', stage: 'train', lines: ['done before: passed over'], seconds: 0, folder: output }
    return next
  }
  const resume_from_checkpoint = existsSync(output) && listCheckpoints(output).length > 0
  for await (const event of train({ ...wanted, resume_from_checkpoint }, world)) {
    yield event
    if (event.type === 'run-interrupted') return undefined
  }
  writeDurably(join(own, TRAINED), `${JSON.stringify({ key })}\n`)
  return next
}

/** Of everything that training follows from. */
function trainingKey(settings: TrainInput, pairs: string, takenOut: ReadonlyMap<string, unknown>): string {
  const { dataset_path: _, output_dir: __, ...own } = settings
  const without = takenOut.size === 0 ? [] : [[...takenOut.keys()].sort()]
  return sha256(JSON.stringify([own, sha256File(pairs), ...without]))
}

function readTrained(path: string): string | undefined {
  if (!existsSync(path)) return undefined
  const parsed = parseJson(readFileSync(path))
  return 'value' in parsed ? z.object({ key: z.string() }).safeParse(parsed.value).data?.key : undefined
}
