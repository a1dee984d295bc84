/** @file What an adapter does to its base model, measured on text: the `check-adapter` command. */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { promptIds } from '../data/prompt-ids.ts'
import type { FloatArray } from '../engine/backend.ts'
import { ortBackend } from '../engine/session.ts'
import { compareLogits, type LogitChange } from '../eval/logit-change.ts'
import { readAdapterConfig } from '../model/adapter-config.ts'
import { ADAPTER_CONFIG, loadAdapter } from '../model/adapter-file.ts'
import { decodeGreedily, openDecoder } from '../model/decode.ts'
import { nameWith, refuseNotFinite } from '../model/finite.ts'
import type { FedLayers } from '../model/forward.ts'
import { loadConfig, loadModel } from '../model/load.ts'
import { type Adapter, adaptedLayers, loraScale } from '../model/lora.ts'
import { type ChangedModules, changedModules } from '../model/lora-size.ts'
import { type Machine, makeMachine } from '../model/machine.ts'
import { logitsOf, weightLayers } from '../model/pass.ts'
import { sequenceRow } from '../model/row.ts'
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts'
import type { CheckAdapterSettings } from './adapter-settings.ts'
import { loadQuestions } from './questions.ts'

/** One question, answered without and with the adapter. */
export interface CheckedText extends LogitChange {
  readonly prompt: string
  /** The most likely continuations. */
  readonly base: string
  readonly adapted: string
}

export interface AdapterCheck {
  readonly base_model: string
  readonly adapter: string
  /** The base model that its configuration names; '' where it names none. */
  readonly made_for: string
  readonly rank: number
  readonly alpha: number
  /** What B A is multiplied by. */
  readonly scale: number
  readonly dropout: number
  /** By the last part of their names. */
  readonly modules: readonly ChangedModules[]
  readonly texts: readonly CheckedText[]
  /** What is wrong with the adapter, or null. */
  readonly problem: string | null
}

/** What is asked where nobody says. */
const QUESTION = 'A box holds 12 rows of 7 eggs, and 5 of them are broken. How many eggs are whole?'
/** Of a text, the last ones: logits of a large vocabulary take memory. */
const MOST_TOKENS = 512

/**
 * @throws UserError or InputError where the adapter does not fit the model, saying in what, where numbers of the model are
 * not finite, or nothing can be asked.
 */
export async function checkAdapter(settings: CheckAdapterSettings): Promise<AdapterCheck> {
  const adapter = fitting(settings)
  const tokenizer = loadTokenizer(settings.base_model)
  const prompts = await promptsOf(settings, tokenizer)
  const { config, weights } = loadModel(settings.base_model)
  const { rank, alpha, dropout } = adapter.settings
  const modules = changedModules(weights.layers, adapter)
  const facts = {
    base_model: settings.base_model,
    adapter: settings.adapter,
    made_for: readAdapterConfig(join(settings.adapter, ADAPTER_CONFIG)).baseModel,
    rank,
    alpha,
    scale: loraScale(adapter.settings),
    dropout,
    modules,
  }
  const broken = modules.find(({ isDamaged }) => isDamaged)
  if (broken !== undefined) {
    return { ...facts, texts: [], problem: `factors of ${broken.name} hold numbers that are not finite: it is damaged` }
  }
  const machine = makeMachine(ortBackend({ threads: settings.threads ?? availableParallelism() }), config, weights)
  try {
    const texts = await measure(machine, adapter, prompts, { settings, tokenizer })
    return { ...facts, texts, problem: emptiness(modules, texts) }
  } finally {
    await machine.dispose()
  }
}

/** Before the weights are read, which takes longer. */
function fitting({ base_model, adapter }: CheckAdapterSettings): Adapter {
  const { config } = loadConfig(base_model)
  try {
    return loadAdapter(adapter, config)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`${adapter} does not fit ${base_model}: ${error.message}`, { cause: error })
  }
}

function emptiness(modules: readonly ChangedModules[], texts: readonly CheckedText[]): string | null {
  if (modules.every(({ changing }) => changing === 0)) {
    return 'the adapter changes nothing: B is zero in every module, as before training'
  }
  if (texts.some(({ maxDifference }) => maxDifference > 0)) return null
  return 'the adapter changes no logit of these texts: its factors are too small to count'
}

interface Means {
  readonly settings: CheckAdapterSettings
  readonly tokenizer: Tokenizer
}

interface Asked {
  readonly text: string
  readonly ids: readonly number[]
}

/** @throws UserError for a prompt and a file at once, and for a file without questions. */
async function promptsOf(settings: CheckAdapterSettings, tokenizer: Tokenizer): Promise<Asked[]> {
  const { prompt, dataset_path, limit } = settings
  if (prompt !== undefined && dataset_path !== undefined)
    throw new UserError('say --prompt or --dataset_path, not both')
  if (dataset_path === undefined) {
    const text = prompt ?? QUESTION
    return [{ text, ids: tokenizer.chatPrompt([{ role: 'user', content: text }]) }]
  }
  const reading = loadQuestions(dataset_path, { stage: 'generate', limit, strict: false })
  for (;;) {
    const next = await reading.next()
    if (!next.done) continue // what was left out is told by the commands that use the file
    return next.value.map(({ problem, prompt: asked }) => ({ text: problem, ids: promptIds(asked, () => tokenizer) }))
  }
}

async function measure(
  machine: Machine,
  adapter: Adapter,
  prompts: readonly Asked[],
  by: Means,
): Promise<CheckedText[]> {
  const { tokenizer, settings } = by
  const { base_model } = settings
  const answers = (added?: Adapter) => continueAll(machine, added, prompts, by)
  const [base, adapted] = [await answers(), await answers(adapter)]
  const texts: CheckedText[] = []
  for (const [at, { text, ids }] of prompts.entries()) {
    const row = [...ids, ...base[at]].slice(-Math.min(MOST_TOKENS, machine.config.maxPositions))
    const before = await copiedLogits(machine, row, weightLayers(machine))
    refuseNotFinite(base_model, before)
    const after = await copiedLogits(machine, row, adaptedLayers(machine, adapter))
    refuseNotFinite(nameWith(settings), after)
    texts.push({
      prompt: text,
      ...compareLogits(before, after, machine.config.vocabularySize),
      base: tokenizer.decodeContinuation(base[at]),
      adapted: tokenizer.decodeContinuation(adapted[at]),
    })
  }
  return texts
}

/** Their buffer is the machine's. */
async function copiedLogits(machine: Machine, ids: readonly number[], layers: FedLayers): Promise<FloatArray> {
  return (await logitsOf(machine, sequenceRow(ids), layers)).data.slice()
}

/** A decoder holds its own copy of the weights, so there is one at a time. */
async function continueAll(
  machine: Machine,
  adapter: Adapter | undefined,
  prompts: readonly Asked[],
  { settings, tokenizer }: Means,
): Promise<number[][]> {
  const name = adapter === undefined ? settings.base_model : nameWith(settings)
  const decoder = await openDecoder(machine, { adapter })
  try {
    const all: number[][] = []
    for (const { ids } of prompts) {
      const room = machine.config.maxPositions - ids.length
      const maxNewTokens = Math.max(0, Math.min(settings.max_new_tokens, room))
      const answer: number[] = []
      const options = { maxNewTokens, endIds: tokenizer.eosIds, name }
      const pieces = maxNewTokens > 0 ? decodeGreedily(decoder, ids, options) : []
      for await (const id of pieces) answer.push(id)
      all.push(answer)
    }
    return all
  } finally {
    await decoder.dispose()
  }
}
