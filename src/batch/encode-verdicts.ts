/**
 * @file Rated steps → token ids for a process reward model: after each rated step stand two verdicts of one token, and the
 * label says which is preferred. A soft label prefers both, each by its share.
 */
import type { Group, Member } from '../data/records.ts'
import type { VerdictFrame } from '../judge/verdicts.ts'
import type { GroupPair } from '../pair/pairs.ts'
import { type Tallies, tally } from '../pair/tally.ts'
import type { EncodedData, EncodedGroup } from './encode.ts'
import type { Ids } from './pieces.ts'

/** The verdicts of an encoded step. */
const RIGHT = 0
const WRONG = 1

/** The chance that a member is right: its score, or its rating from −1 to 1. */
export function labelOf({ score, rating }: Pick<Member, 'score' | 'rating'>): number {
  return score ?? (Math.min(1, Math.max(-1, rating)) + 1) / 2
}

/** `count` labelled completions, of which the part `label` is right. */
function verdictPairs(label: number, count: number): GroupPair[] {
  const pairs = [
    { chosen: RIGHT, rejected: WRONG, weight: count * label },
    { chosen: WRONG, rejected: RIGHT, weight: count * (1 - label) },
  ]
  return pairs.filter(({ weight }) => weight > 0)
}

/** Remembers the tokens of texts: the steps of a solution come again in every group below it. */
function remember(encode: (text: string) => Ids): (text: string) => Ids {
  const known = new Map<string, Ids>()
  return (text) => {
    const ids = known.get(text) ?? encode(text)
    known.set(text, ids)
    return ids
  }
}

/** One encoded group for each rated step that fits: all before it and itself, then its two verdicts. */
export function encodeVerdicts(
  groups: readonly Group[],
  frame: VerdictFrame,
  { maxLength, maxRowTokens }: { readonly maxLength: number; readonly maxRowTokens: number },
): EncodedData {
  const limit = Math.min(maxLength, maxRowTokens)
  const dropped: Tallies = new Map()
  const encoded: EncodedGroup[] = []
  const [promptOf, stepOf] = [remember(frame.prompt), remember(frame.step)]
  for (const { problem, prompt, prefix, members, place } of groups) {
    const steps = prefix.filter((step) => typeof step === 'string')
    const isText = steps.length === prefix.length && ('messages' in prompt || typeof prompt.raw === 'string')
    const before = isText ? [promptOf(problem), ...steps.map(stepOf)] : []
    const length = before.reduce((total, piece) => total + piece.length, 0)
    for (const { content, count, ...member } of members) {
      if (!isText || typeof content !== 'string') {
        tally(dropped, 'token ids, where a process reward model is taught text', place, count)
        continue
      }
      const step = stepOf(content)
      if (length + step.length + 2 > limit) {
        tally(dropped, `problem and steps are longer than max_length or max_row_tokens: ${limit}`, place, count)
        continue
      }
      const pairs = verdictPairs(labelOf(member), count)
      encoded.push({ problem, prefix: [...before, step], members: [[frame.right], [frame.wrong]], pairs })
    }
  }
  return { groups: encoded, dropped, truncated: 0 }
}
