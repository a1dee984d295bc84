/** @file What happens in a stage of the loop (generate, pairs, eval …), as typed events. Knows nothing of how they are shown. */

export type StageName = 'generate' | 'judge' | 'pairs' | 'train' | 'eval'

export type StageEvent =
  /** `facts` say in a line what is done with what; `known` of `total` items are there from before. */
  | Event<'stage-begin', { stage: StageName; facts: string; known: number; total: number; unit: string }>
  /** `note` is what is known so far, in a few words. */
  | Event<
      'stage-progress',
      { stage: StageName; done: number; total: number; unit: string; seconds: number; note: string }
    >
  /** `lines` are the result in words, the first one the most important. */
  | Event<'stage-end', { stage: StageName; lines: readonly string[]; seconds: number; folder: string }>
  /** Stopped by the user: the same command goes on. */
  | Event<'stage-stopped', { stage: StageName; done: number; total: number; folder: string }>
  /** Items that are left out, once for each reason. */
  | Event<
      'items-dropped',
      { stage: StageName; what: string; count: number; total: number; reason: string; example: string }
    >
  | Event<'warning', { message: string }>

type Event<Type extends string, Facts> = { readonly type: Type } & Readonly<Facts>
