/** @file A pair of two continuations of one prefix, with its provenance. */
import { sha256 } from '../base/hash.ts'
import type { JudgedStep } from '../data/judgement.ts'
import type { Pair } from '../data/pair-row.ts'

/** A continuation that becomes a side of a pair. */
export interface Side {
  readonly content: string
  readonly terminal: boolean
  readonly score: number | null
  /** The id of the rollout it is of. */
  readonly rollout: string
  readonly from: string
}

/** What all pairs of a run have in common. */
export interface MadeFrom {
  readonly strategy: string
  readonly judge: string | null
  readonly maker: string
  readonly systemPrompt?: string
}

export interface PairPlace {
  readonly problem: string
  readonly answer: string | null
  readonly prefix: string
  readonly step: number
}

export function scoreOf(verdict: JudgedStep): number | null {
  return verdict.state === 'scored' ? verdict.score : null
}

export function makePair(
  { problem, answer, prefix, step }: PairPlace,
  chosen: Side,
  rejected: Side,
  made: MadeFrom,
): Pair {
  const { strategy, judge, maker, systemPrompt } = made
  return {
    id: sha256(JSON.stringify([problem, prefix, chosen.content, rejected.content])),
    prompt: problem,
    ...(systemPrompt === undefined ? {} : { system_prompt: systemPrompt }),
    prefix,
    chosen: chosen.content,
    rejected: rejected.content,
    chosen_terminal: chosen.terminal,
    rejected_terminal: rejected.terminal,
    step,
    chosen_score: chosen.score,
    rejected_score: rejected.score,
    answer,
    strategy,
    provenance: {
      judge,
      maker,
      rejected_rollout: rejected.rollout,
      chosen_from: `${chosen.from} ${chosen.rollout}`,
      why: '',
    },
  }
}
