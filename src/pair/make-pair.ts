/** @file A pair of two continuations of one prefix, with its provenance. */
import { sha256 } from '../base/hash.ts'
import type { LocatedBy, Pair, PairSource, SideSolution } from '../data/pair-row.ts'
import type { Rollout } from '../data/rollout.ts'
import type { JudgedRollout } from './judged.ts'

/** What both sides go on from. */
export interface PairPlace {
  readonly prompt: Pair['prompt']
  readonly answer: string | null
  readonly prefix: string
  readonly step: number
}

/** A continuation that becomes a side of a pair. */
export interface Side {
  readonly content: string
  readonly terminal: boolean
  readonly score: number | null
  /** The solution that the side begins. */
  readonly solution: SideSolution
  readonly source: PairSource
}

/** What all pairs of a run have in common. */
export interface MadeBy {
  readonly strategy: string
  readonly judge: string | null
  readonly locatedBy: LocatedBy | null
}

/** What decides between the sides of one pair, if it is known. */
export interface Decided extends MadeBy {
  readonly why: string
}

/** The place before a step of a rollout. */
export function placeOf({ rollout, spans }: JudgedRollout, step: number): PairPlace {
  return { prompt: askedOf(rollout), answer: rollout.answer, prefix: spans[step].prefix, step }
}

/** Equal for all that goes on from one prefix of one prompt. */
export function placeKey({ prompt, prefix }: Pick<PairPlace, 'prompt' | 'prefix'>): string {
  return JSON.stringify([prompt, prefix])
}

/** Equal for rollouts of one prompt. */
export function askedOf({ problem, asked }: Rollout): Pair['prompt'] {
  return asked ?? problem
}

export function sourceOf({ id, maker }: Rollout, from: PairSource['from']): PairSource {
  return { rollout: id, from, maker }
}

/** A step as a side. */
export function stepSide({ rollout, spans, verdicts }: JudgedRollout, step: number, from: PairSource['from']): Side {
  const { content, terminal } = spans[step]
  const verdict = verdicts[step]
  const score = verdict.state === 'scored' ? verdict.score : null
  const solution = solutionFrom({ rollout, spans, verdicts }, spans[step].prefix.length)
  return { content, terminal, score, solution, source: sourceOf(rollout, from) }
}

/** The steps that a rollout has from a place in its completion on, with their scores. */
function solutionFrom({ rollout, spans, verdicts }: Omit<JudgedRollout, 'score'>, start: number): SideSolution {
  const steps = spans.flatMap(({ prefix, content }, at) => {
    const verdict = verdicts[at]
    if (prefix.length < start || content === '') return []
    return [{ text: content, score: verdict.state === 'scored' ? verdict.score : null }]
  })
  return { steps, terminal: rollout.finish === 'stop' }
}

/** All from a place in the completion on, as a side. */
export function restSide(judged: JudgedRollout, start: number, from: PairSource['from']): Side {
  const { rollout, score } = judged
  const solution = solutionFrom(judged, start)
  const content = rollout.completion.slice(start)
  return { content, terminal: rollout.finish === 'stop', score, solution, source: sourceOf(rollout, from) }
}

export function makePair({ prompt, answer, prefix, step }: PairPlace, chosen: Side, rejected: Side, by: Decided): Pair {
  return {
    id: sha256(JSON.stringify([prompt, prefix, chosen.content, rejected.content])),
    prompt,
    prefix,
    chosen: chosen.content,
    rejected: rejected.content,
    chosen_terminal: chosen.terminal,
    rejected_terminal: rejected.terminal,
    step,
    chosen_score: chosen.score,
    rejected_score: rejected.score,
    chosen_solution: chosen.solution,
    rejected_solution: rejected.solution,
    answer,
    strategy: by.strategy,
    provenance: {
      judge: by.judge,
      located_by: by.locatedBy,
      chosen: chosen.source,
      rejected: rejected.source,
      why: by.why,
    },
  }
}
