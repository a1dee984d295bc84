/**
 * @file Groups → token ids. Pieces are encoded each for itself and joined, so that the boundary between prefix and step
 * is where the group says, no token of the prefix is scored, and siblings share their prefix to the last token.
 */
import type { Group, Member } from '../data/records.ts'
import { type GroupPair, type GroupPairs, groupPairs } from '../pair/pairs.ts'
import { type Tallies, tally } from '../pair/tally.ts'
import { type Encoder, type Ids, type PieceEncoder, pieceEncoder } from './pieces.ts'
import { comparedPrefix, type RoleWeights, type StepObjective, sidePieces, weighSteps } from './step-weights.ts'

/** What is known of a member beside its tokens. */
export interface MemberDetails {
  readonly rating: number
  readonly count: number
  /** Where each of its steps ends among its tokens. */
  readonly stepEnds: readonly number[]
  /** Of each of its steps; null where nobody scored it. */
  readonly stepScores: readonly (number | null)[]
  /** How much each token counts where the member is chosen, and where it is rejected; undefined: all once. */
  readonly weights?: RoleWeights
  /** Whether it ends the solution, so that its last token may be the one that ends a turn. */
  readonly isTerminal?: boolean
}

export interface EncodedGroup {
  readonly problem: string
  /** The prompt, then the steps before, of which the oldest may be cut. */
  readonly prefix: readonly Ids[]
  /** The tokens that are scored. */
  readonly members: readonly Ids[]
  /** Indices of members. */
  readonly pairs: readonly GroupPair[]
  /** Of each member; undefined: each is one step, and its tokens count once. */
  readonly details?: readonly MemberDetails[]
  /** Steps of the solution before the first of a member; undefined: none. */
  readonly stepsBefore?: number
}

export interface EncodeOptions {
  /** The most tokens of a prompt, its steps and one continuation. */
  readonly maxLength: number
  /** The most tokens of a prompt with its steps. */
  readonly maxPromptLength: number
  /** The most tokens of a prefix with two continuations. */
  readonly maxRowTokens: number
  readonly pairs: GroupPairs
  /** Token ids below it are known to the model. */
  readonly vocabularySize: number
  /** Default: `step_dpo`. */
  readonly objective?: StepObjective
  /** How sharply `full_step_dpo` tells steps apart by their scores. */
  readonly stepTemperature?: number
  /** Whether a group is compared as a whole, so that it must fit one row. */
  readonly wholeGroups?: boolean
  /** Whether both sides of a pair must have scores. */
  readonly needsScores?: boolean
}

/** Of the authors' code of Full-Step-DPO. */
const STEP_TEMPERATURE = 0.5

export interface EncodedData {
  readonly groups: readonly EncodedGroup[]
  /** Pairs that were left out, by reason. */
  readonly dropped: Tallies
  /** Groups whose oldest steps were cut. */
  readonly truncated: number
}

/** The prefix without its oldest steps, so that it is at most `room` tokens long; undefined where the prompt is longer. */
function cutPrefix(prompt: Ids, steps: readonly Ids[], room: number): readonly Ids[] | undefined {
  let total = prompt.length
  for (const step of steps) total += step.length
  let first = 0
  while (total > room && first < steps.length) total -= steps[first++].length
  return total > room ? undefined : [prompt, ...steps.slice(first)]
}

function sameIds(a: Ids, b: Ids): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at])
}

/** Why a pair cannot be trained on, or undefined. */
function flawOf(chosen: Ids, rejected: Ids, promptLength: number, options: EncodeOptions): string | undefined {
  const longest = Math.max(chosen.length, rejected.length)
  if (chosen.length === 0 || rejected.length === 0) return 'a side without tokens'
  if (sameIds(chosen, rejected)) return 'both sides have the same tokens'
  if (promptLength === 0) return 'a prompt without tokens'
  if (promptLength + longest > options.maxLength)
    return `prompt and step are longer than max_length ${options.maxLength}`
  if (promptLength > options.maxPromptLength)
    return `the prompt is longer than max_prompt_length ${options.maxPromptLength}`
  if (promptLength + chosen.length + rejected.length > options.maxRowTokens) {
    return `prompt and both steps are longer than max_row_tokens ${options.maxRowTokens}`
  }
  return undefined
}

/** Why the tokens of a group cannot be used, or undefined. */
function strangeId(pieces: readonly Ids[], vocabularySize: number): string | undefined {
  for (const piece of pieces) {
    const strange = piece.find((id) => !(id >= 0 && id < vocabularySize))
    if (strange !== undefined) return `a token id that the model does not know: ${strange}`
  }
  return undefined
}

/** A member in tokens. One with a flaw cannot be used, and has none. */
interface EncodedMember {
  readonly ids: Ids
  readonly details: MemberDetails
  readonly flaw?: string
}

function encodeMember(group: Group, member: Member, pieces: PieceEncoder, options: EncodeOptions): EncodedMember {
  const { rating, count, tokenWeights } = member
  const { objective = 'step_dpo', stepTemperature = STEP_TEMPERATURE } = options
  const side = sidePieces(group, member, objective)
  const encoded = side.map(({ content, terminal }) => pieces.piece(group, content, terminal))
  const steps = side.map(({ score, weight }, at) => ({ tokens: encoded[at].length, score, weight }))
  const byStep = weighSteps(steps, objective, stepTemperature, tokenWeights !== undefined)
  if (byStep !== undefined && 'flaw' in byStep) {
    return { ids: [], details: { rating, count, stepEnds: [], stepScores: [] }, flaw: byStep.flaw }
  }
  const kept = encoded.slice(0, byStep === undefined ? side.length : lastWeighed(byStep) + 1)
  let end = 0
  const details = {
    rating,
    count,
    stepEnds: kept.map((step) => {
      end += step.length
      return end
    }),
    stepScores: side.slice(0, kept.length).map(({ score }) => score),
    isTerminal: side[kept.length - 1]?.terminal ?? false,
  }
  const ids = kept.flat()
  if (byStep !== undefined) {
    const spread = (weights: readonly number[]): number[] => kept.flatMap((step, at) => step.map(() => weights[at]))
    return {
      ids,
      details: { ...details, weights: { chosen: spread(byStep.chosen), rejected: spread(byStep.rejected) } },
    }
  }
  if (tokenWeights === undefined || side.length > 1) return { ids, details }
  return { ids, details: { ...details, weights: { chosen: tokenWeights, rejected: tokenWeights } } }
}

/** The last step that counts: what follows it need not be computed. */
function lastWeighed({ chosen, rejected }: RoleWeights): number {
  return chosen.findLastIndex((weight, at) => weight !== 0 || rejected[at] !== 0)
}

/** The tokens of all groups as pairs, and what was left out. */
export function encodeGroups(
  groups: readonly Group[],
  encoder: Encoder | undefined,
  options: EncodeOptions,
): EncodedData {
  const pieces = pieceEncoder(encoder)
  const dropped: Tallies = new Map()
  const encoded: EncodedGroup[] = []
  let truncated = 0
  for (const group of groups) {
    const prompt = pieces.prompt(group.prompt)
    const before = comparedPrefix(group, options.objective ?? 'step_dpo')
    const steps = before.map((step) => pieces.piece(group, step, false))
    const sides = group.members.map((member) => encodeMember(group, member, pieces, options))
    const members = sides.map(({ ids }) => ids)
    const prefixLength = prompt.length + steps.flat().length
    const strange =
      strangeId([prompt, ...steps, ...members], options.vocabularySize) ??
      (options.wholeGroups === true ? wholeFlaw(members, prefixLength, options) : undefined)
    const pairs = groupPairs(group, options.pairs).filter(({ chosen, rejected, weight, scoreGap }) => {
      const flaw =
        strange ??
        (options.needsScores === true && scoreGap === undefined ? 'nobody has scored both sides' : undefined) ??
        sides[chosen].flaw ??
        sides[rejected].flaw ??
        flawOf(members[chosen], members[rejected], prompt.length, options)
      if (flaw !== undefined) tally(dropped, flaw, group.place, weight)
      return flaw === undefined
    })
    if (pairs.length === 0) continue
    const room = Math.min(...pairs.map((pair) => roomFor(pair, members, options)))
    const prefix = cutPrefix(prompt, steps, room)
    if (prefix === undefined) throw new Error(`${group.problem}: a pair that fits was cut`)
    if (prefix.length <= steps.length) truncated++
    const details = sides.map((side) => side.details)
    encoded.push({ problem: group.problem, prefix, members, pairs, details, stepsBefore: before.length })
  }
  return { groups: encoded, dropped, truncated }
}

/**
 * The same of groups whose members are used one by one, in pairs or not: a member that is too long is left out, not its
 * prompt cut. `isPaired` keeps the pairs of those that are left.
 */
export function encodeMembers(
  groups: readonly Group[],
  encoder: Encoder | undefined,
  options: EncodeOptions,
  isPaired: boolean,
): EncodedData {
  const pieces = pieceEncoder(encoder)
  const dropped: Tallies = new Map()
  const encoded: EncodedGroup[] = []
  for (const group of groups) {
    const before = comparedPrefix(group, options.objective ?? 'step_dpo')
    const prefix = [pieces.prompt(group.prompt), ...before.map((step) => pieces.piece(group, step, false))]
    const length = prefix.reduce((total, piece) => total + piece.length, 0)
    const kept = group.members.flatMap((member) => {
      const { ids, details, flaw: own } = encodeMember(group, member, pieces, options)
      const flaw = own ?? strangeId([...prefix, ids], options.vocabularySize) ?? memberFlaw(ids, length, options)
      if (flaw === undefined) return [{ member, ids, details }]
      tally(dropped, flaw, group.place, member.count)
      return []
    })
    if (kept.length === 0) continue
    const left = { ...group, members: kept.map(({ member }) => member) }
    encoded.push({
      problem: group.problem,
      prefix,
      members: kept.map(({ ids }) => ids),
      pairs: isPaired ? groupPairs(left, options.pairs) : [],
      details: kept.map(({ details }) => details),
      stepsBefore: before.length,
    })
  }
  return { groups: encoded, dropped, truncated: 0 }
}

function memberFlaw(ids: Ids, promptLength: number, options: EncodeOptions): string | undefined {
  if (ids.length === 0) return 'a completion without tokens'
  if (promptLength === 0) return 'a prompt without tokens'
  if (promptLength + ids.length > Math.min(options.maxLength, options.maxRowTokens)) {
    return `prompt and completion are longer than max_length ${options.maxLength} or max_row_tokens ${options.maxRowTokens}`
  }
  return undefined
}

/** Why a group cannot be compared as a whole, or undefined. */
function wholeFlaw(members: readonly Ids[], prefixLength: number, { maxRowTokens }: EncodeOptions): string | undefined {
  const tokens = prefixLength + members.flat().length
  return tokens > maxRowTokens ? `all siblings together are longer than max_row_tokens ${maxRowTokens}` : undefined
}

/** The tokens that are left for the prefix of a pair. */
function roomFor({ chosen, rejected }: GroupPair, members: readonly Ids[], options: EncodeOptions): number {
  const { maxPromptLength, maxLength, maxRowTokens } = options
  const [w, l] = [members[chosen].length, members[rejected].length]
  return Math.min(maxPromptLength, maxLength - Math.max(w, l), maxRowTokens - w - l)
}
