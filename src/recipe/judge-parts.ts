/** @file The judge that settings name, with the ledger, the budget and the limits that stand before it. */

import { cacheFolder } from '../base/cache-folder.ts'
import { UsageError } from '../base/errors.ts'
import { arithmeticJudge } from '../judge/arithmetic/judge.ts'
import { createAsker, type Plan, type PlanningAsker } from '../judge/ask.ts'
import { createBudget } from '../judge/budget.ts'
import type { ChatModel } from '../judge/chat.ts'
import { panel } from '../judge/consensus.ts'
import { type Ledger, ledgerPath, openLedger } from '../judge/ledger.ts'
import { createLimits, type Limits } from '../judge/limits.ts'
import { localJudge, localPromptVersion } from '../judge/local.ts'
import { type ModelJudgeOptions, modelJudge, questionsOf, requestOf } from '../judge/model-judge.ts'
import { modes } from '../judge/modes.ts'
import type { Solution, StepJudge } from '../judge/port.ts'
import { findPrice, type Prices, readPrices, toDollars } from '../judge/prices.ts'
import { createChatModel, parseJudgeName } from '../judge/provider.ts'
import { type AiSdkModel, aiSdkModel } from '../judge/providers/ai-sdk.ts'
import { replayModel } from '../judge/providers/replay.ts'
import { DEFAULT_RETRY } from '../judge/retry.ts'
import { builtInShots, readShots } from '../judge/shots.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import { calibrated, readCalibration } from './calibrated.ts'
import type { JudgeSettings } from './judge-settings.ts'
import { openModel } from './score.ts'
import type { World } from './world.ts'

export interface JudgeParts {
  readonly judge: StepJudge
  /** Each judge by itself, where there are several. */
  readonly members: readonly StepJudge[]
  /** What judging these would ask and cost at most, of the models that cost something. */
  plan(solutions: readonly Solution[]): readonly { readonly judge: string; readonly plan: Plan }[]
  /** US dollars: what was spent, and what requests without a known end may have cost. */
  spent(): { readonly settled: number; readonly reserved: number }
  readonly ledger: Ledger
  close(): Promise<void>
}

/** One judge, and how it is planned and closed. */
interface Member {
  readonly judge: StepJudge
  readonly planned?: { readonly asker: PlanningAsker; readonly options: ModelJudgeOptions }
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
  readonly model?: AiSdkModel
}

function readFewShot(name: string) {
  if (name === 'none') return []
  return name === 'built-in' ? builtInShots : readShots(name)
}

async function localMember(path: string, { threads }: JudgeSettings): Promise<Member> {
  const tokenizer = loadTokenizer(path)
  const { machine, layers } = openModel({ base_model: path, threads })
  const name = `local:${path} ${localPromptVersion}`
  return { judge: localJudge(name, { machine, layers, tokenizer }), close: () => machine.dispose() }
}

/** A judge that asks a chat model. */
async function chatMember(model: ChatModel, place: Place, shared: Shared): Promise<Member> {
  const { settings, purpose } = place
  const mode = modes[settings.judge_mode]
  const shots = await readFewShot(settings.few_shot)
  const { votes } = settings
  const asker = createAsker({
    model,
    price: findPrice(model, shared.prices),
    ledger: shared.ledger,
    budget: shared.budget,
    limits: shared.limitsOf(model.name),
    retry: { ...DEFAULT_RETRY, attempts: settings.attempts },
    timeoutMs: settings.timeout * 1000,
    purpose,
    promptVersion: mode.promptVersion,
  })
  const temperature = settings.temperature ?? (votes > 1 ? 0.7 : 0)
  const options = {
    name: `${model.name} ${mode.promptVersion} votes ${votes} temperature ${temperature} few-shot ${settings.few_shot}`,
    asker,
    mode,
    shots,
    votes,
    temperature,
    topP: settings.top_p ?? null,
    seed: settings.seed ?? null,
    maxTokens: settings.judge_max_tokens,
  }
  return { judge: modelJudge(options), planned: { asker, options } }
}

interface Shared {
  /** The limits of a model's provider: one for all its models. */
  limitsOf(model: string): Limits
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
      return localMember(parsed.path, settings)
    case 'replay':
      return chatMember(await replayModel(parsed.file), place, shared)
    case 'chat': {
      const timeoutMs = settings.timeout * 1000
      return chatMember(createChatModel(parsed, { environment: world.environment, timeoutMs }), place, shared)
    }
  }
}

function providerLimits(settings: JudgeSettings): Shared['limitsOf'] {
  const known = new Map<string, Limits>()
  return (model) => {
    // `provider:model@address`: what stands around the model is who answers.
    const provider = model.replace(/:[^@]*/, '')
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
    if (place.model !== undefined) members.push(await chatMember(aiSdkModel(place.model), place, shared))
    else for (const name of names) members.push(await openMember(name, place, shared))
  } catch (error) {
    await close()
    throw error
  }
  const judges = members.map(({ judge }) => judge)
  const asked = panel(judges, consensus)
  return {
    judge: calibration === undefined ? asked : calibrated(asked, calibration),
    members: judges,
    plan: (solutions) => members.flatMap((member) => planOf(member, solutions)),
    spent: () => {
      const { settled, reserved } = ledger.account(run)
      return { settled: toDollars(settled), reserved: toDollars(reserved) }
    },
    ledger,
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
