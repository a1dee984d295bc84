/** @file The judge that settings name, with the ledger, the budget and the limits that stand before it. */

import { cacheFolder } from '../base/cache-folder.ts'
import { UsageError, UserError } from '../base/errors.ts'
import type { BatchUpdate } from '../data/judge-events.ts'
import { type AggregationName, defaultAggregation } from '../judge/aggregate.ts'
import { arithmeticJudge } from '../judge/arithmetic/judge.ts'
import { createAsker, type Plan, type PlanningAsker } from '../judge/ask.ts'
import { createBudget } from '../judge/budget.ts'
import type { ChatModel } from '../judge/chat.ts'
import { panel } from '../judge/consensus.ts'
import { type Ledger, ledgerPath, openLedger } from '../judge/ledger.ts'
import { createLimits, type Limits } from '../judge/limits.ts'
import { type ModelJudgeOptions, modelJudge, questionsOf, requestOf } from '../judge/model-judge.ts'
import { modes } from '../judge/modes.ts'
import { type PairJudge, pairJudge } from '../judge/pairwise.ts'
import type { Solution, StepJudge } from '../judge/port.ts'
import { batchPrice, findPrice, type Prices, readPrices, toDollars } from '../judge/prices.ts'
import { version as pairVersion } from '../judge/prompts/pairwise.ts'
import { createChatModel, parseJudgeName } from '../judge/provider.ts'
import { type AiSdkModel, aiSdkModel } from '../judge/providers/ai-sdk.ts'
import { replayModel } from '../judge/providers/replay.ts'
import { DEFAULT_RETRY } from '../judge/retry.ts'
import type { Secret } from '../judge/secret.ts'
import { builtInShots, readShots } from '../judge/shots.ts'
import { calibrated, readCalibration } from './calibrated.ts'
import { openImplicitJudge } from './implicit.ts'
import { openBatches, refuseOpenJobs } from './judge-batches.ts'
import type { JudgeSettings } from './judge-settings.ts'
import { openLocalJudge } from './local-model.ts'
import type { World } from './world.ts'

export interface JudgeParts {
  readonly judge: StepJudge
  /** What settings say, or what fits the meaning of the judge's scores. */
  readonly aggregation: AggregationName
  /** @throws UserError for several judges, and for one that compares nothing. */
  pairJudge(): PairJudge
  /** What judging these would ask and cost at most, of the models that cost something. */
  plan(solutions: readonly Solution[]): readonly { readonly judge: string; readonly plan: Plan }[]
  /** US dollars: what was spent, and what requests without a known end may have cost. */
  spent(): { readonly settled: number; readonly reserved: number }
  readonly ledger: Ledger
  /** Goes on with what a process that has ended left at batch APIs. Before anything is asked. */
  resume(): Promise<void>
  close(): Promise<void>
}

/** One judge, and how it is planned and closed. */
interface Member {
  readonly judge: StepJudge
  readonly planned?: { readonly asker: PlanningAsker; readonly options: ModelJudgeOptions }
  readonly pairs?: PairJudge
  resume?(): Promise<void>
  close?(): Promise<void>
}

interface Place {
  readonly settings: JudgeSettings
  readonly world: World
  /** Whose money it is: one cap for all that has this name. */
  readonly run: string
  /** What the money is for, as the ledger says it. */
  readonly purpose: string
  /** A model that the caller holds, instead of those that settings name. */
  readonly model?: AiSdkModel | StepJudge
  /** Stands for the key in the environment. */
  readonly key?: Secret
  /** Asks by batch APIs, and tells how they get on. */
  readonly tellBatch?: (update: BatchUpdate) => void
}

function readFewShot(name: string) {
  if (name === 'none') return []
  return name === 'built-in' ? builtInShots : readShots(name)
}

/** A judge that asks a chat model. */
async function chatMember(model: ChatModel, place: Place, shared: Shared): Promise<Member> {
  const { settings, purpose, run, tellBatch: tell } = place
  const { ledger } = shared
  const mode = modes[settings.judge_mode]
  const shots = await readFewShot(settings.few_shot)
  const { votes } = settings
  const listed = findPrice(model, shared.prices)
  const price = tell === undefined || listed === null ? listed : batchPrice(listed)
  const batches = tell && openBatches({ model, price, ledger, run, world: place.world, tell })
  const askerOf = (promptVersion: string): PlanningAsker =>
    createAsker({
      model,
      price,
      ledger,
      budget: shared.budget,
      limits: shared.limitsOf(model),
      batches: batches?.queue,
      // A job's waits are long enough.
      retry: { ...DEFAULT_RETRY, attempts: settings.attempts, ...(batches && { baseMs: 0 }) },
      timeoutMs:
        settings.timeout * 1000 * (model.addresses?.length ?? 1) + (model.addresses === undefined ? 0 : LATER_MS),
      purpose,
      promptVersion,
    })
  const temperature = settings.temperature ?? (votes > 1 ? 0.7 : 0)
  const nameOf = (version: string): string => `${model.name} ${version} votes ${votes} temperature ${temperature}`
  const sampling = {
    votes,
    temperature,
    topP: settings.top_p ?? null,
    seed: settings.seed ?? null,
    maxTokens: settings.judge_max_tokens,
  }
  const name = `${nameOf(mode.promptVersion)} few-shot ${settings.few_shot}`
  const options = { name, asker: askerOf(mode.promptVersion), mode, shots, ...sampling }
  return {
    judge: modelJudge(options),
    planned: { asker: options.asker, options },
    close: async () => batches?.close(),
    resume: batches?.resume ?? (() => refuseOpenJobs(ledger, run, model.name)),
    pairs: pairJudge({ name: nameOf(pairVersion), asker: askerOf(pairVersion), ...sampling }),
  }
}

/** Of several servers each has its own timer, one after the other: it must be the one that tells which of them is late. */
const LATER_MS = 1000

interface Shared {
  /** The limits of a model's provider: one for all its models. */
  limitsOf(model: ChatModel): Limits
  readonly ledger: Ledger
  readonly budget: ReturnType<typeof createBudget>
  readonly prices: Prices | undefined
}

async function openMember(name: string, place: Place, shared: Shared): Promise<Member> {
  const { settings, world } = place
  const parsed = parseJudgeName(name)
  switch (parsed.kind) {
    case 'arithmetic':
      return { judge: arithmeticJudge() }
    case 'local':
      return openLocalJudge(parsed.path, settings)
    case 'implicit':
      return openImplicitJudge(parsed.path, settings)
    case 'replay':
      return chatMember(await replayModel(parsed.file), place, shared)
    case 'chat': {
      const timeoutMs = settings.timeout * 1000
      const { environment } = world
      return chatMember(createChatModel(parsed, { environment, key: place.key, timeoutMs }), place, shared)
    }
  }
}

function providerLimits(settings: JudgeSettings): Shared['limitsOf'] {
  const known = new Map<string, Limits>()
  return ({ name, addresses = [] }) => {
    // `provider:model@address`: what stands around the model is who answers.
    const provider = [name.replace(/:[^@]*/, ''), ...addresses].join()
    const limits =
      known.get(provider) ??
      createLimits({
        concurrency: settings.concurrency,
        requestsPerMinute: settings.rpm ?? null,
        tokensPerMinute: settings.tpm ?? null,
      })
    known.set(provider, limits)
    return limits
  }
}

/** A judge that the caller holds. */
async function givenMember(model: AiSdkModel | StepJudge, place: Place, shared: Shared): Promise<Member> {
  return 'judge' in model ? { judge: model } : chatMember(aiSdkModel(model), place, shared)
}

function pairJudgeOf([{ judge, pairs }, ...others]: readonly Member[]): PairJudge {
  if (others.length > 0) throw new UserError('comparing is done by one judge, and there are several')
  if (pairs === undefined) throw new UserError(`'${judge.name}' compares nothing: only chat models do`)
  return pairs
}

/**
 * Opens the judge that settings name; several are asked as a panel.
 * @throws UserError for a name, a key, a price, a model or a file of examples that is missing or wrong.
 */
export async function openJudge(place: Place): Promise<JudgeParts> {
  const { settings, world, run } = place
  const { reward_model: names, consensus } = settings
  if (consensus !== undefined && consensus > names.length) {
    throw new UsageError(`--consensus ${consensus}: there are ${names.length} judges in --reward_model`)
  }
  const calibration = settings.calibration === undefined ? undefined : readCalibration(settings.calibration)
  const ledger = await openLedger(ledgerPath(cacheFolder(world.environment)), { now: world.now })
  const budget = createBudget(ledger, run, settings.max_cost ?? null)
  const prices = settings.prices === undefined ? undefined : readPrices(settings.prices)
  const members: Member[] = []
  const close = async (): Promise<void> => {
    for (const member of members) await member.close?.()
    await ledger.close()
  }
  try {
    const shared = { ledger, budget, prices, limitsOf: providerLimits(settings) }
    if (place.model !== undefined) members.push(await givenMember(place.model, place, shared))
    else for (const name of names) members.push(await openMember(name, place, shared))
  } catch (error) {
    await close()
    throw error
  }
  const judges = members.map(({ judge }) => judge)
  const asked = panel(judges, consensus)
  const judge = calibration === undefined ? asked : calibrated(asked, calibration)
  return {
    judge,
    aggregation: settings.aggregation ?? defaultAggregation(judge.meaning),
    pairJudge: () => pairJudgeOf(members),
    plan: (solutions) => members.flatMap((member) => planOf(member, solutions)),
    spent: () => {
      const { settled, reserved } = ledger.account(run)
      return { settled: toDollars(settled), reserved: toDollars(reserved) }
    },
    ledger,
    resume: async () => {
      for (const member of members) await member.resume?.()
    },
    close,
  }
}

function planOf({ judge, planned }: Member, solutions: readonly Solution[]) {
  if (planned === undefined) return []
  const { asker, options } = planned
  const samples = Array.from({ length: options.votes }, (_, sample) => sample)
  const requests = solutions.flatMap((solution) =>
    questionsOf(solution, options).flatMap((question) => samples.map((sample) => requestOf(question, options, sample))),
  )
  return [{ judge: judge.name, plan: asker.plan(requests) }]
}
