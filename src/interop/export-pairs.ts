/** @file Preference pairs as the rows of other trainers, which differ in how they end a text. */
import type { Group, Member, Message, Prompt } from '../data/records.ts'
import type { GroupPair } from '../pair/pairs.ts'

export const pairExportNames = ['trl', 'step-dpo', 'llama-factory', 'ms-swift', 'axolotl', 'openrlhf'] as const
export type PairExportName = (typeof pairExportNames)[number]

/** What becomes of pairs whose text the trainer would end where it goes on. */
export const unfinishedPolicies = ['drop', 'mark'] as const
export type UnfinishedPolicy = (typeof unfinishedPolicies)[number]

export interface Side {
  readonly text: string
  /** Whether it ends the solution. */
  readonly terminal: boolean
  /** The whole solution that it begins, where that is known to its end. */
  readonly whole?: string
}

export interface TextPair {
  readonly prompt: Prompt
  /** What of the answer both sides go on from. */
  readonly prefix: string
  readonly chosen: Side
  readonly rejected: Side
}

export type ExportRow = Readonly<Record<string, unknown>>

interface Exporter {
  /** Why the format has no place for the pair, or undefined. */
  flaw(pair: TextPair): string | undefined
  /** Why the trainer would end the pair's text where it goes on, or undefined. */
  misread(pair: TextPair): string | undefined
  /** Whether the columns `chosen_terminal` and `rejected_terminal` are needed, as the format has none of its own. */
  readonly needsMarks: boolean
  row(pair: TextPair): ExportRow
}

const GOES_ON = 'a side goes on, and the trainer ends every side'
export const BEGUN = 'the answer has begun, and the trainer closes or skips a begun answer'

const isUnfinished = ({ chosen, rejected }: TextPair): boolean => !chosen.terminal || !rejected.terminal

/** A prompt and what of the answer has begun. */
export type Begun = Pick<TextPair, 'prompt' | 'prefix'>

function messagesOf({ prompt }: Pick<Begun, 'prompt'>): readonly Message[] {
  return 'messages' in prompt ? prompt.messages : []
}

/** The prompt's messages and, where the answer has begun, one of the assistant. */
export function begunMessages(begun: Begun): readonly Message[] {
  return begun.prefix === '' ? messagesOf(begun) : [...messagesOf(begun), assistant(begun.prefix)]
}

export function assistant(content: string): Message {
  return { role: 'assistant', content }
}

export function flawOfMessages({ prompt }: Pick<Begun, 'prompt'>): string | undefined {
  if (!('messages' in prompt)) return 'a prompt of plain text, not of messages'
  return prompt.messages.at(-1)?.role === 'assistant' ? 'a prompt that ends with an answer' : undefined
}

/** The one question that a prompt is, or undefined. */
export function questionOf(prompt: Prompt): string | undefined {
  const [question, ...others] = messagesOf({ prompt })
  return question?.role === 'user' && question.content !== '' && others.length === 0 ? question.content : undefined
}

export const NO_QUESTION = 'a prompt that is not one question'

/** LLaMA-Factory skips what does not alternate between the user and the assistant, after one system message. */
function flawOfTurns(pair: TextPair): string | undefined {
  const messages = messagesOf(pair)
  const turns = messages[0]?.role === 'system' ? messages.slice(1) : messages
  const alternates = turns.every(({ role }, at) => role === (at % 2 === 0 ? 'user' : 'assistant'))
  return flawOfMessages(pair) ?? (alternates && turns.length > 0 ? undefined : 'a prompt whose turns do not alternate')
}

const SPEAKERS: ReadonlyMap<string, string> = new Map([
  ['user', 'human'],
  ['assistant', 'gpt'],
])

function spoken({ role, content }: Message): ExportRow {
  return { from: SPEAKERS.get(role) ?? role, value: content }
}

/** TRL's, which others read or hand to TRL: text, or messages where the prompt is messages. */
const trl: Exporter = {
  flaw: (pair) => ('raw' in pair.prompt ? undefined : flawOfMessages(pair)),
  misread: (pair) => {
    if (isUnfinished(pair)) return GOES_ON
    return 'messages' in pair.prompt && pair.prefix !== '' ? BEGUN : undefined
  },
  needsMarks: true,
  row: (pair) => {
    const { prompt, prefix, chosen, rejected } = pair
    if ('raw' in prompt) return { prompt: `${prompt.raw}${prefix}`, chosen: chosen.text, rejected: rejected.text }
    return {
      prompt: begunMessages(pair),
      chosen: [assistant(chosen.text)],
      rejected: [assistant(rejected.text)],
    }
  },
}

const exporters: { readonly [N in PairExportName]: Exporter } = {
  trl,
  openrlhf: trl,
  axolotl: {
    ...trl,
    flaw: flawOfMessages,
    row: (pair) => ({
      messages: begunMessages(pair),
      chosen: assistant(pair.chosen.text),
      rejected: assistant(pair.rejected.text),
    }),
  },
  'step-dpo': {
    flaw: ({ prompt }) => (questionOf(prompt) === undefined ? NO_QUESTION : undefined),
    misread: () => undefined,
    needsMarks: false,
    row: (pair) => {
      const { prefix, chosen, rejected } = pair
      // A side ends its solution where the whole solution is there and ends with it.
      const whole = ({ text, terminal, whole }: Side): string => {
        if (terminal) return prefix + text
        return whole?.startsWith(text) ? prefix + whole : ''
      }
      return {
        prompt: questionOf(pair.prompt),
        initial_reason_steps: prefix,
        chosen: chosen.text,
        rejected: rejected.text,
        full_chosen: whole(chosen),
        full_rejected: whole(rejected),
      }
    },
  },
  'llama-factory': {
    flaw: flawOfTurns,
    misread: (pair) => (isUnfinished(pair) ? GOES_ON : pair.prefix === '' ? undefined : BEGUN),
    needsMarks: true,
    row: (pair) => ({
      conversations: begunMessages(pair).map(spoken),
      chosen: spoken(assistant(pair.chosen.text)),
      rejected: spoken(assistant(pair.rejected.text)),
    }),
  },
  'ms-swift': {
    flaw: flawOfMessages,
    // It joins what the assistant says in two messages.
    misread: (pair) => (isUnfinished(pair) ? GOES_ON : undefined),
    needsMarks: true,
    row: (pair) => ({
      messages: [...begunMessages(pair), assistant(pair.chosen.text)],
      rejected_response: pair.rejected.text,
    }),
  },
}

/** A pair of a group as text; undefined where a piece of it is token ids. */
export function textPair(group: Group, pair: GroupPair): TextPair | undefined {
  const { prompt, prefix, separator, members } = group
  const [chosen, rejected] = [members[pair.chosen], members[pair.rejected]]
  const pieces = [...prefix, chosen.content, rejected.content, 'raw' in prompt ? prompt.raw : '']
  if (pieces.some((piece) => typeof piece !== 'string')) return undefined
  const steps = prefix.map((step) => `${step}${separator}`).join('')
  return { prompt, prefix: steps, chosen: showSide(chosen, separator), rejected: showSide(rejected, separator) }
}

export function showSide({ content, terminal, solution }: Member, separator: string): Side {
  const steps = solution?.terminal ? solution.steps : []
  const whole = steps.map((step) => step.content).join(separator)
  return { text: `${content}${terminal ? '' : separator}`, terminal, ...(whole !== '' && { whole }) }
}

/** The pair as a row that its trainer and our reader understand alike, or why there is none. */
export function exportPair(
  pair: TextPair,
  to: PairExportName,
  unfinished: UnfinishedPolicy,
): { readonly row: ExportRow } | { readonly dropped: string } {
  const { flaw, misread, needsMarks, row } = exporters[to]
  if (pair.chosen.text.trim() === '' || pair.rejected.text.trim() === '') return { dropped: 'a side without text' }
  const reason = flaw(pair) ?? (unfinished === 'drop' ? misread(pair) : undefined)
  if (reason !== undefined) return { dropped: reason }
  const marks = { chosen_terminal: pair.chosen.terminal, rejected_terminal: pair.rejected.terminal }
  return { row: needsMarks && unfinished === 'mark' ? { ...row(pair), ...marks } : row(pair) }
}
