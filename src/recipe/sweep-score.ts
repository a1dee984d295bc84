/** @file A trained trial on every held-out problem, so that trials are compared problem by problem. */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { sha256 } from '../base/hash.ts'
import type { EncodedGroup } from '../batch/encode.ts'
import type { Metrics } from '../data/events.ts'
import { ortBackend } from '../engine/session.ts'
import { evaluatePreferences, type Preferences } from '../eval/preference.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { adapterLearner, fullLearner } from '../model/learner.ts'
import { loadModel } from '../model/load.ts'
import { adaptedLayers } from '../model/lora.ts'
import { makeMachine } from '../model/machine.ts'
import { weightLayers } from '../model/pass.ts'
import { openReferenceCache } from '../train/reference.ts'
import type { PackedObjective } from '../train/update.ts'
import type { TrainSettings } from './config.ts'
import type { TrialResult } from './sweep-trial.ts'

/** What a metric of the whole evaluation may differ by from the mean over its problems: rounding, other threads. */
const TOLERANCE = 1e-4

/**
 * The metrics of each held-out problem under the weights that a trial has left, `evaluation` being the trial's own of all of
 * them. The reference is not computed: the trial's log holds what it evaluated with.
 */
export async function scoreByProblem(
  settings: TrainSettings,
  groups: readonly EncodedGroup[],
  objective: PackedObjective,
  evaluation: Metrics,
): Promise<TrialResult['problems']> {
  const { base_model, output_dir, use_lora, seed } = settings
  const backend = ortBackend({ threads: settings.threads ?? availableParallelism() })
  const base = loadModel(base_model)
  const reference = makeMachine(backend, base.config, base.weights)
  const machine = use_lora ? reference : makeMachine(backend, base.config, loadModel(output_dir).weights)
  const adapter = use_lora ? loadAdapter(output_dir, base.config) : undefined
  const learner = adapter === undefined ? fullLearner(machine) : adapterLearner(machine, adapter, seed)
  const layers = adapter === undefined ? weightLayers(machine) : adaptedLayers(machine, adapter)
  const cache = openReferenceCache(join(output_dir, 'stepdpo', 'reference.log'), undefined)
  try {
    const policy = { machine, learner, reference, cache, keeping: 'inputs' } as const
    const { problems } = await valueOfAll(evaluatePreferences(policy, layers, groups, objective))
    return keepMeans(problems.map(problemResult), evaluation)
  } finally {
    cache.close()
    await machine.dispose()
    if (reference !== machine) await reference.dispose()
  }
}

/** What is returned after everything that is yielded. */
async function valueOfAll<T>(steps: AsyncGenerator<unknown, T>): Promise<T> {
  for (;;) {
    const step = await steps.next()
    if (step.done) return step.value
  }
}

/** Under the names that the whole evaluation has; a problem is told by its hash. */
function problemResult({
  problem,
  pairs,
  ...metrics
}: Preferences['problems'][number]): TrialResult['problems'][number] {
  return {
    problem: sha256(String(problem)).slice(0, 16),
    pairs: Number(pairs),
    metrics: Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval_${name}`, Number(value)])),
  }
}

/**
 * The problems with those metrics alone whose mean over all pairs is what the evaluation says: a bound of an interval is no
 * such mean, nor is what was computed with a reference that has moved.
 */
export function keepMeans(scored: TrialResult['problems'], evaluation: Metrics): TrialResult['problems'] {
  const total = scored.reduce((sum, { pairs }) => sum + pairs, 0)
  const means = Object.entries(evaluation).flatMap(([name, value]) => {
    const mean = scored.reduce((sum, { pairs, metrics }) => sum + pairs * metrics[name], 0) / total
    return Math.abs(mean - value) <= TOLERANCE * Math.max(1, Math.abs(value)) ? [name] : []
  })
  return scored.map(({ metrics, ...rest }) => ({
    ...rest,
    metrics: Object.fromEntries(means.map((name) => [name, metrics[name]])),
  }))
}
