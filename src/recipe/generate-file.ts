/** @file Samples solutions for the questions of a file: the `generate` command. */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { lockFolder } from '../base/lock.ts'
import type { Rollout } from '../data/rollout.ts'
import type { StageEvent } from '../data/stage-events.ts'
import type { GenerateSettings } from './generate-settings.ts'
import { openPolicy } from './policy.ts'
import { loadQuestions } from './questions.ts'
import { askingOf, sampleRollouts, samplingOf } from './sample.ts'
import type { World } from './world.ts'

export const ROLLOUTS = 'rollouts.jsonl'

/**
 * Samples what `output_dir` lacks, and yields what happens.
 * @throws UserError for models, files and folders that cannot be used.
 */
export async function* generateFile(
  settings: GenerateSettings & { readonly dataset_path: string },
  world: World,
): AsyncGenerator<StageEvent> {
  const folder = resolve(settings.output_dir)
  mkdirSync(folder, { recursive: true })
  const lock = lockFolder(folder)
  try {
    const questions = yield* loadQuestions(settings.dataset_path, { ...settings, stage: 'generate' })
    const policy = await openPolicy(settings, world)
    try {
      const started = world.seconds()
      const rollouts = yield* sampleRollouts({
        stage: 'generate',
        generator: policy.generator,
        beginnings: questions.map((question) => ({ question, continued: settings.answer_start })),
        samples: settings.num_samples,
        sampling: samplingOf(settings, settings.logprobs),
        asking: askingOf(settings),
        path: join(folder, ROLLOUTS),
        world,
      })
      if (rollouts === undefined) return
      const seconds = world.seconds() - started
      yield { type: 'stage-end', stage: 'generate', lines: rolloutLines(rollouts), seconds, folder }
    } finally {
      await policy.dispose()
    }
  } finally {
    lock.release()
  }
}

/** What was sampled, in words. */
export function rolloutLines(rollouts: readonly Rollout[]): string[] {
  const share = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`
  const count = (holds: (rollout: Rollout) => boolean): number => rollouts.filter(holds).length
  const answered = count(({ answer }) => answer !== null)
  const right = count(({ final_answer_correct }) => final_answer_correct === true)
  const cut = count(({ finish }) => finish === 'length')
  const mute = count(({ final_answer }) => final_answer === null)
  const steps = rollouts.reduce((sum, rollout) => sum + rollout.steps.length, 0)
  const total = rollouts.length
  return [
    answered === 0
      ? `${total} rollouts; no answers are known, so nobody knows which are right`
      : `${total} rollouts, ${share(right, answered)} of ${answered} with a known answer are right`,
    `${(steps / total).toFixed(1)} steps each; ${share(cut, total)} were cut at max_new_tokens, ${share(mute, total)} give no answer`,
  ]
}
