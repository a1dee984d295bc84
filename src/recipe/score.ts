/** @file Log-probabilities of completions under a model, with or without an adapter: the `score` command. */
import { InputError } from '../base/errors.ts'
import type { Row } from '../base/lines.ts'
import { type Continuation, packContinuations } from '../batch/pack.ts'
import { findDataFile } from '../data/locate.ts'
import { promptIds } from '../data/prompt-ids.ts'
import { readRows } from '../data/rows.ts'
import type { Bad } from '../data/schema.ts'
import { scoreRow as completionsOf, type ScoredCompletion } from '../data/score-row.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import type { ModelConfig } from '../model/config.ts'
import { nameWith, refuseNotFinite } from '../model/finite.ts'
import type { FedLayers } from '../model/forward.ts'
import { loadKept } from '../model/load.ts'
import { adaptedLayers } from '../model/lora.ts'
import { type Machine, makeMachine } from '../model/machine.ts'
import { scoreRow, weightLayers } from '../model/pass.ts'
import { whyTooLong } from '../model/rope.ts'
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts'
import type { ScoreSettings } from './command-settings.ts'
import { openBackend, type Place } from './device.ts'

export interface Scores {
  /** The tokens that were scored. */
  readonly ids: readonly number[]
  readonly logprobs: readonly number[]
  readonly sum: number
}

/** What became of a row: its scores (two for a preference row, chosen first), or why there are none. */
export type ScoredRow = { readonly line: number } & (
  | { readonly scores: readonly Scores[] }
  | { readonly problem: string }
)

interface Waiting {
  readonly line: number
  readonly items: readonly Continuation[]
}

/** A model that gives tokens their log-probabilities. */
export interface OpenedModel {
  /** For messages. */
  readonly name: string
  readonly machine: Machine
  readonly layers: FedLayers
}

/** Opens a model for scoring. */
export async function openModel(settings: Place & { base_model: string; adapter?: string }): Promise<OpenedModel> {
  const name = nameWith(settings)
  const { config, weights } = loadKept(settings.base_model, 'stored')
  const machine = makeMachine(await openBackend(settings), config, weights)
  if (settings.adapter === undefined) return { name, machine, layers: weightLayers(machine) }
  return { name, machine, layers: adaptedLayers(machine, loadAdapter(settings.adapter, config)) }
}

/** The tokens of a completion: those before it, which may be none but the first, and those to score. */
function encodeCompletion({ prompt, completion }: ScoredCompletion, tokenizer: () => Tokenizer): Continuation {
  if (prompt === null) {
    const ids = typeof completion === 'string' ? tokenizer().encode(completion) : completion
    return { prefix: ids.slice(0, 1), content: ids.slice(1) }
  }
  const isRendered = 'raw' in prompt
  const encode = (text: string): number[] =>
    isRendered ? tokenizer().encodeRenderedContinuation(text) : tokenizer().encodeContinuation(text)
  const content = typeof completion === 'string' ? encode(completion) : completion
  return { prefix: promptIds(prompt, tokenizer), content }
}

/** What a row asks to score, or why that cannot be done. */
function itemsOf(row: Row, tokenizer: () => Tokenizer, config: ModelConfig): readonly Continuation[] | Bad {
  if ('problem' in row) return { bad: row.problem }
  const completions = completionsOf(row.value)
  if ('bad' in completions) return completions
  const items = completions.map((one) => encodeCompletion(one, tokenizer))
  const { vocabularySize } = config
  const strange = items.flatMap(({ prefix, content }) => [...prefix, ...content]).find((id) => id >= vocabularySize)
  if (strange !== undefined) return { bad: `token id ${strange} is not in the vocabulary of ${vocabularySize}` }
  const longest = Math.max(...items.map(({ prefix, content }) => prefix.length + content.length))
  const bad = whyTooLong(config, longest)
  return bad === undefined ? items : { bad }
}

/** Rows that wait until there are enough tokens for one pass. */
interface Batch {
  readonly rows: Waiting[]
  tokens: number
}

async function* flush({ rows }: Batch, { name, machine, layers }: OpenedModel): AsyncGenerator<ScoredRow> {
  const items = rows.flatMap((row) => row.items)
  const packed = packContinuations(items)
  const logps = await scoreRow(machine, packed.row, layers)
  refuseNotFinite(name, logps)
  let next = 0
  for (const { line, items: own } of rows) {
    const scores = own.map(({ content }) => {
      const logprobs = Array.from(packed.continuations[next++], (at) => logps[at])
      return { ids: content, logprobs, sum: logprobs.reduce((total, logp) => total + logp, 0) }
    })
    yield { line, scores }
  }
}

/**
 * Scores every row of a file, in order.
 * @throws InputError for the first bad row where `strict`; UserError for a file, model or adapter that cannot be used.
 */
export async function* score(settings: ScoreSettings): AsyncGenerator<ScoredRow> {
  const file = findDataFile(settings.dataset_path)
  const model = await openModel(settings)
  let loaded: Tokenizer | undefined
  const tokenizer = (): Tokenizer => {
    loaded ??= loadTokenizer(settings.base_model)
    return loaded
  }
  try {
    let batch: Batch = { rows: [], tokens: 0 }
    const empty = async function* (): AsyncGenerator<ScoredRow> {
      if (batch.rows.length > 0) yield* flush(batch, model)
      batch = { rows: [], tokens: 0 }
    }
    for await (const row of readRows(file)) {
      const items = itemsOf(row, tokenizer, model.machine.config)
      if ('bad' in items) {
        if (settings.strict) throw new InputError({ file, line: row.line }, 'a row to score', items.bad)
        yield* empty()
        yield { line: row.line, problem: items.bad }
        continue
      }
      const tokens = items.reduce((total, { prefix, content }) => total + prefix.length + content.length, 0)
      if (batch.tokens + tokens > settings.max_row_tokens) yield* empty()
      batch.rows.push({ line: row.line, items })
      batch.tokens += tokens
    }
    yield* empty()
  } finally {
    await model.machine.dispose()
  }
}
