/** @file What a run says of its data, and what its checkpoints know of it, whichever engine trains. */
import { pairCount } from '../batch/pack.ts'
import type { RunEvent } from '../data/events.ts'
import { isBestSaved } from '../train/loop.ts'
import type { RunFacts } from '../train/state.ts'
import type { TrainSettings } from './config.ts'
import type { Begin } from './train-begin.ts'
import { examplesOf, type TrainData } from './train-data.ts'
import { identityOf, type Plan } from './train-plan.ts'

export function dataLoaded(settings: TrainSettings, { train, heldOut }: TrainData, { loop }: Plan): RunEvent {
  return {
    type: 'data-loaded',
    groups: train.length,
    pairs: pairCount(train),
    problems: new Set(train.map(({ problem }) => problem)).size,
    evalGroups: heldOut.length,
    examples: examplesOf(settings, train),
    updates: loop.updates,
  }
}

/** @param fingerprint of the base model. */
export function factsOf(settings: TrainSettings, plan: Plan, begin: Begin, fingerprint: string): RunFacts {
  const { loop, updatesPerEpoch } = plan
  // Where it is computed is told of, but no run is another for it.
  const { device: _, moved_from: __, ...choices } = begin
  return {
    updates: loop.updates,
    updatesPerEpoch,
    seed: settings.seed,
    identity: identityOf(settings, plan, choices, fingerprint),
    best: loop.best,
    isBestSaved: (update) => isBestSaved(loop, updatesPerEpoch, update),
    begin: { ...begin },
  }
}
