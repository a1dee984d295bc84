/** @file The formats of data sets, told apart by their columns. */
import { readAxolotl } from './axolotl.ts'
import { readChatDemonstration, readCompletion, readSolution } from './demonstrations.ts'
import type { Reading, ReadOptions } from './labelled.ts'
import { readAlpacaRanking, readSharegptRanking } from './llama-factory.ts'
import { readMathAps } from './math-aps.ts'
import { readMathShepherd, STEP_MARK } from './math-shepherd.ts'
import { readMathStepDpo } from './math-step-dpo.ts'
import { readMsSwift } from './ms-swift.ts'
import { readOmegaPrm } from './omega-prm.ts'
import { readPair } from './pair-row.ts'
import { readPreference } from './preference.ts'
import { readPretokenised } from './pretokenised.ts'
import { readPrm800k } from './prm800k.ts'
import { readPrompts } from './prompts.ts'
import { isSign, readRlhflow } from './rlhflow.ts'
import { type Columns, isColumns } from './schema.ts'
import { readStepwise } from './stepwise.ts'
import { readUltraInteract } from './ultra-interact.ts'
import { readUnpaired } from './unpaired.ts'
import { restore } from './written.ts'

export type FormatName =
  | 'prm800k'
  | 'math-step-dpo'
  | 'pretokenised'
  | 'stepwise'
  | 'math-shepherd'
  | 'rlhflow'
  | 'math-aps'
  | 'omega-prm'
  | 'ultra-interact'
  | 'preference'
  | 'llama-factory-alpaca'
  | 'llama-factory-sharegpt'
  | 'ms-swift'
  | 'axolotl'
  | 'unpaired'
  | 'pairs'
  | 'prompts'
  | 'chat'
  | 'completion'
  | 'solution'

export interface Format {
  readonly name: FormatName
  /** For messages. */
  readonly columns: string
  matches(row: Columns): boolean
  /** Whether rows on one prompt are solutions that share prefixes; else each row is a group of its own. */
  readonly merges: boolean
  read(value: unknown, options: ReadOptions): Reading
}

/** Where other formats keep the prompt: without a prompt column, their answers must not pass for a shared beginning. */
const OTHER_PROMPTS = ['problem', 'question', 'query', 'instruction', 'input', 'conversations']

/** Columns that say something of an answer. */
const LABELS = ['chosen', 'rejected', 'completion', 'completions', 'steps', 'label', 'labels', 'conversations']

/** Columns of what is rejected where the chosen answer ends a chat. */
const REJECTED = ['rejected_response', 'rejected_messages']

/** In the order in which they are tried: rows of an earlier one may match a later one too. */
const known: readonly Format[] = [
  {
    name: 'prm800k',
    columns: 'question, label',
    matches: ({ question, label }) => isColumns(question) && isColumns(label),
    merges: true,
    read: readPrm800k,
  },
  {
    name: 'pairs',
    columns: 'prompt, prefix, chosen, rejected, chosen_terminal, rejected_terminal',
    matches: (row) => has(row, 'prefix', 'chosen', 'rejected', 'chosen_terminal', 'rejected_terminal'),
    merges: false,
    read: readPair,
  },
  {
    name: 'math-step-dpo',
    columns: 'prompt, initial_reason_steps, chosen, rejected',
    matches: (row) => has(row, 'chosen', 'rejected') && (has(row, 'initial_reason_steps') || has(row, 'prefix')),
    merges: false,
    read: readMathStepDpo,
  },
  {
    name: 'pretokenised',
    columns: 'prompt_ids, chosen_ids, rejected_ids',
    matches: (row) =>
      has(row, 'prompt_ids', 'chosen_ids', 'rejected_ids') ||
      has(row, 'prompt_input_ids', 'chosen_input_ids', 'rejected_input_ids'),
    merges: false,
    read: readPretokenised,
  },
  {
    name: 'stepwise',
    columns: 'prompt, completions, labels',
    matches: (row) => has(row, 'prompt', 'completions', 'labels'),
    merges: true,
    read: readStepwise,
  },
  {
    name: 'math-shepherd',
    columns: 'input, label (texts with the mark ки)',
    matches: ({ input, label }) => typeof input === 'string' && typeof label === 'string' && input.includes(STEP_MARK),
    merges: true,
    read: readMathShepherd,
  },
  {
    name: 'rlhflow',
    columns: 'conversations (answered + or -)',
    matches: ({ conversations }) =>
      Array.isArray(conversations) && isColumns(conversations[1]) && isSign(conversations[1].content),
    merges: true,
    read: readRlhflow,
  },
  {
    name: 'math-aps',
    columns: 'question, process, label',
    matches: (row) => has(row, 'question', 'process', 'label'),
    merges: true,
    read: readMathAps,
  },
  {
    name: 'omega-prm',
    columns: 'question, reasoning_steps (a tree)',
    matches: ({ question, reasoning_steps }) => typeof question === 'string' && isColumns(reasoning_steps),
    merges: true,
    read: readOmegaPrm,
  },
  {
    name: 'ultra-interact',
    columns: 'trajectory, chosen, rejected',
    matches: (row) => has(row, 'trajectory', 'chosen', 'rejected'),
    merges: false,
    read: readUltraInteract,
  },
  {
    name: 'axolotl',
    columns: 'messages, chosen, rejected (one message each)',
    matches: ({ messages, chosen, rejected }) => Array.isArray(messages) && isColumns(chosen) && isColumns(rejected),
    merges: false,
    read: readAxolotl,
  },
  {
    name: 'preference',
    columns: 'prompt, chosen, rejected',
    matches: (row) => has(row, 'chosen', 'rejected') && (has(row, 'prompt') || !hasAny(row, OTHER_PROMPTS)),
    merges: false,
    read: readPreference,
  },
  {
    name: 'llama-factory-alpaca',
    columns: 'instruction, input, chosen, rejected',
    matches: (row) => has(row, 'instruction', 'chosen', 'rejected'),
    merges: false,
    read: readAlpacaRanking,
  },
  {
    name: 'llama-factory-sharegpt',
    columns: 'conversations, chosen, rejected',
    matches: (row) => has(row, 'conversations', 'chosen', 'rejected'),
    merges: false,
    read: readSharegptRanking,
  },
  {
    name: 'ms-swift',
    columns: 'messages, rejected_response or rejected_messages',
    matches: (row) => has(row, 'messages') && hasAny(row, REJECTED),
    merges: false,
    read: readMsSwift,
  },
  {
    name: 'unpaired',
    columns: 'prompt, completion, label',
    matches: isUnpaired,
    merges: true,
    read: readUnpaired,
  },
  {
    name: 'prompts',
    columns: 'prompt, problem or question alone',
    matches: (row) => hasAny(row, ['prompt', 'problem', 'question']) && !hasAny(row, LABELS),
    merges: false,
    read: readPrompts,
  },
]

export const formats: readonly Format[] = known.map((format) => ({
  ...format,
  read: (value, options) => restore(format.read(value, options), value),
}))

/** Rows that show what is to be said, without anything worse beside it. */
export const demonstrationFormats: readonly Format[] = [
  {
    name: 'chat',
    columns: 'messages',
    matches: (row) => has(row, 'messages') && !hasAny(row, [...LABELS, ...REJECTED]),
    merges: false,
    read: readChatDemonstration,
  },
  {
    name: 'completion',
    columns: 'prompt, completion',
    matches: (row) => has(row, 'prompt', 'completion') && !isUnpaired(row),
    merges: false,
    read: readCompletion,
  },
  {
    name: 'solution',
    columns: 'problem or question, solution or answer',
    matches: (row) =>
      hasAny(row, ['problem', 'question']) && hasAny(row, ['solution', 'answer']) && !hasAny(row, LABELS),
    merges: false,
    read: readSolution,
  },
]

/** The format of a row, by its columns alone; undefined for none of those. */
export function detectFormat(value: unknown, among: readonly Format[] = formats): Format | undefined {
  return isColumns(value) ? among.find((format) => format.matches(value)) : undefined
}

/** A column that is null is absent: tables write it in rows that lack it. */
function has(row: Columns, ...names: readonly string[]): boolean {
  return names.every((name) => row[name] != null)
}

function hasAny(row: Columns, names: readonly string[]): boolean {
  return names.some((name) => has(row, name))
}

function isUnpaired(row: Columns): boolean {
  return has(row, 'prompt', 'completion') && typeof row.label === 'boolean'
}
