/** @file What a data set holds and what its pairs would teach, with examples: the `data inspect` command. */
import type { InputPlace } from '../base/errors.ts'
import { encodeGroups } from '../batch/encode.ts'
import { pairCount } from '../batch/pack.ts'
import type { Group, Segment } from '../data/records.ts'
import { loadConfig } from '../model/load.ts'
import { auditData, type DataAudit } from '../pair/audit.ts'
import { loadGroups } from '../pair/groups.ts'
import { findLeaks, type LeakReport } from '../pair/leak.ts'
import { groupPairs } from '../pair/pairs.ts'
import type { Tallies } from '../pair/tally.ts'
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts'
import type { InspectSettings } from './command-settings.ts'

/** One side of an example. */
export interface ExampleSide {
  readonly rating: number
  readonly terminal: boolean
  /** The text that is scored, in one run to its end; for rows of token ids without a tokenizer, the ids. */
  readonly scored: string
  /** The tokens that are scored; null for text without a tokenizer. */
  readonly ids: readonly number[] | null
}

export interface Example {
  readonly place: InputPlace
  /** Prompt and steps before, of which nothing is scored. */
  readonly prefix: string
  readonly chosen: ExampleSide
  readonly rejected: ExampleSide
}

export interface Inspection {
  readonly audit: DataAudit
  readonly examples: readonly Example[]
  /** What encoding would leave out; null without a tokenizer. */
  readonly encoded: { readonly pairs: number; readonly truncated: number; readonly dropped: Tallies } | null
  readonly leak: LeakReport | null
}

/** Examples from all over the data, the same at every call. */
function pickExamples(groups: readonly Group[], wanted: number): readonly Group[] {
  const count = Math.min(wanted, groups.length)
  return Array.from({ length: count }, (_, at) => groups[Math.floor(((at + 0.5) * groups.length) / count)])
}

function showSegment(segment: Segment, tokenizer: Tokenizer | undefined): string {
  if (typeof segment === 'string') return segment
  return tokenizer === undefined ? segment.join(' ') : tokenizer.decode(segment)
}

function showPrefix({ prompt, prefix, separator }: Group, tokenizer: Tokenizer | undefined): string {
  const steps = prefix.map((step) => showSegment(step, tokenizer) + separator).join('')
  if ('raw' in prompt) return showSegment(prompt.raw, tokenizer) + steps
  const asked =
    tokenizer?.hasChatTemplate === true
      ? tokenizer.renderChat(prompt.messages, { addGenerationPrompt: true })
      : prompt.messages.map(({ content }) => content + '\n').join('')
  return asked + steps
}

function makeExample(group: Group, settings: InspectSettings, tokenizer: Tokenizer | undefined): Example {
  const [pair] = groupPairs(group, settings.group_pairs)
  const wide = { maxLength: Number.MAX_SAFE_INTEGER, maxPromptLength: Number.MAX_SAFE_INTEGER }
  const options = {
    ...wide,
    maxRowTokens: Number.MAX_SAFE_INTEGER,
    pairs: settings.group_pairs,
    vocabularySize: 2 ** 31,
  }
  const encoded = tokenizer === undefined ? undefined : encodeGroups([group], tokenizer, options).groups[0]
  const side = (at: number): ExampleSide => {
    const { content, rating, terminal } = group.members[at]
    if (tokenizer !== undefined && encoded !== undefined) {
      const ids = encoded.members[at]
      return { rating, terminal, scored: tokenizer.decodeContinuation(ids), ids }
    }
    const scored = showSegment(content, undefined) + (terminal ? '' : group.separator)
    return { rating, terminal, scored, ids: typeof content === 'string' ? null : content }
  }
  const { chosen, rejected } = pair
  return { place: group.place, prefix: showPrefix(group, tokenizer), chosen: side(chosen), rejected: side(rejected) }
}

/** @throws UserError or InputError where the data cannot be read; nothing is trained on, nothing is written. */
export async function inspect(settings: InspectSettings): Promise<Inspection> {
  const { neutral, step_separator: separator, strict, base_model: model, check_leak } = settings
  const data = await loadGroups(settings.dataset_path, { neutral, separator, strict })
  const tokenizer = model === undefined ? undefined : loadTokenizer(model)
  const count = (segment: Segment): number =>
    typeof segment === 'string' ? (tokenizer?.encodeContinuation(segment).length ?? 0) : segment.length
  const encoded =
    model === undefined || tokenizer === undefined
      ? undefined
      : encodeGroups(data.groups, tokenizer, {
          maxLength: settings.max_length,
          maxPromptLength: settings.max_prompt_length ?? settings.max_length,
          maxRowTokens: 2 * settings.max_length,
          pairs: settings.group_pairs,
          vocabularySize: loadConfig(model).config.vocabularySize,
        })
  return {
    audit: auditData(data, tokenizer === undefined ? undefined : count),
    examples: pickExamples(data.groups, settings.n).map((group) => makeExample(group, settings, tokenizer)),
    encoded:
      encoded === undefined
        ? null
        : { pairs: pairCount(encoded.groups), truncated: encoded.truncated, dropped: encoded.dropped },
    leak: check_leak === undefined ? null : await findLeaks(data.groups, check_leak),
  }
}
