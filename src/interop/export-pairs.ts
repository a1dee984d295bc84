/** @file Preference pairs as the rows of other trainers, which differ in how they end a text. */
import type { Group, Message, Prompt, Segment } from '../data/records.ts'
import type { GroupPair } from '../pair/pairs.ts'

export const exportNames = ['trl', 'trl-tokens', 'step-dpo', 'llama-factory', 'ms-swift'] as const
export type ExportName = (typeof exportNames)[number]

/** What becomes of pairs whose text the trainer would end where it goes on. */
export const unfinishedPolicies = ['drop', 'mark'] as const
export type UnfinishedPolicy = (typeof unfinishedPolicies)[number]

export interface Side {
  readonly text: string
  /** Whether it ends the solution. */
  readonly terminal: boolean
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
const BEGUN = 'the answer has begun, and the trainer closes or skips a begun answer'

const isUnfinished = ({ chosen, rejected }: TextPair): boolean => !chosen.terminal || !rejected.terminal

function messagesOf({ prompt }: TextPair): readonly Message[] {
  return 'messages' in prompt ? prompt.messages : []
}

/** The prompt's messages and, where the answer has begun, one of the assistant. */
function begunMessages(pair: TextPair): readonly Message[] {
  return pair.prefix === '' ? messagesOf(pair) : [...messagesOf(pair), assistant(pair.prefix)]
}

function assistant(content: string): Message {
  return { role: 'assistant', content }
}

function flawOfMessages({ prompt }: TextPair): string | undefined {
  if (!('messages' in prompt)) return 'a prompt of plain text, not of messages'
  return prompt.messages.at(-1)?.role === 'assistant' ? 'a prompt that ends with an answer' : undefined
}

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

const exporters: { readonly [N in Exclude<ExportName, 'trl-tokens'>]: Exporter } = {
  trl: {
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
  },
  'step-dpo': {
    flaw: (pair) => {
      const [question, ...others] = messagesOf(pair)
      const isQuestion = question?.role === 'user' && question.content !== '' && others.length === 0
      return isQuestion ? undefined : 'a prompt that is not one question'
    },
    misread: () => undefined,
    needsMarks: false,
    row: (pair) => {
      const { prefix, chosen, rejected } = pair
      // A side ends its solution where the whole solution is there and ends with it.
      const whole = ({ text, terminal }: Side): string => (terminal ? prefix + text : '')
      return {
        prompt: messagesOf(pair)[0].content,
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
  const side = (at: number): { readonly content: Segment; readonly terminal: boolean } => members[at]
  const [chosen, rejected] = [side(pair.chosen), side(pair.rejected)]
  const pieces = [...prefix, chosen.content, rejected.content, 'raw' in prompt ? prompt.raw : '']
  if (pieces.some((piece) => typeof piece !== 'string')) return undefined
  const show = ({ content, terminal }: typeof chosen): Side => ({
    text: `${content}${terminal ? '' : separator}`,
    terminal,
  })
  const steps = prefix.map((step) => `${step}${separator}`).join('')
  return { prompt, prefix: steps, chosen: show(chosen), rejected: show(rejected) }
}

/** The pair as a row that its trainer and our reader understand alike, or why there is none. */
export function exportPair(
  pair: TextPair,
  to: keyof typeof exporters,
  unfinished: UnfinishedPolicy,
): { readonly row: ExportRow } | { readonly dropped: string } {
  const { flaw, misread, needsMarks, row } = exporters[to]
  if (pair.chosen.text.trim() === '' || pair.rejected.text.trim() === '') return { dropped: 'a side without text' }
  const reason = flaw(pair) ?? (unfinished === 'drop' ? misread(pair) : undefined)
  if (reason !== undefined) return { dropped: reason }
  const marks = { chosen_terminal: pair.chosen.terminal, rejected_terminal: pair.rejected.terminal }
  return { row: needsMarks && unfinished === 'mark' ? { ...row(pair), ...marks } : row(pair) }
}
