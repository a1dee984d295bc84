/** @file Problems solved while a model trains: `--eval_generate`. */
import type { Metrics, RunEvent } from '../data/events.ts'
import type { Question } from '../data/prompt-rows.ts'
import type { Rollout } from '../data/rollout.ts'
import { wilson } from '../eval/mean-interval.ts'
import { isRepetitive } from '../eval/text-health.ts'
import { openDecoder } from '../model/decode.ts'
import { localGenerator } from '../rollout/local.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import type { TrainSettings } from './config.ts'
import { loadQuestions } from './questions.ts'
import type { RunFolder } from './run-folder.ts'
import { sampleRollouts } from './sample.ts'
import type { TrainParts } from './train-parts.ts'
import type { World } from './world.ts'

const BATCH_SIZE = 32

/** The problems to solve, none where that is not wanted. */
export async function loadEvalQuestions({
  eval_generate: limit,
  eval_generate_path: path,
}: TrainSettings): Promise<readonly Question[]> {
  if (limit === 0 || path === undefined) return []
  const questions = loadQuestions(path, { stage: 'eval', limit, strict: false })
  for (;;) {
    const next = await questions.next()
    if (next.done) return next.value.filter(({ answer }) => answer !== null)
  }
}

/**
 * Solves the problems greedily with the weights as they are now. The solutions of an update go to
 * `stepdpo/generations/update-N.jsonl`. Gives `eval_accuracy` and `eval_repetitive` with Wilson's 95 % intervals, and the
 * share that was cut.
 */
export async function* evaluateByGenerating(
  { policy, adapter, model }: TrainParts,
  questions: readonly Question[],
  update: number,
  { settings, folder, world }: { readonly settings: TrainSettings; readonly folder: RunFolder; readonly world: World },
): AsyncGenerator<RunEvent, Metrics> {
  const decoder = await openDecoder(policy.machine, adapter === undefined ? {} : { adapter })
  try {
    const tokenizer = loadTokenizer(model.path)
    yield { type: 'evaluation-begin', update, total: questions.length }
    const rollouts = yield* progressOf(
      sampleRollouts({
        stage: 'eval',
        generator: localGenerator({ name: `update-${update}`, decoder, tokenizer }, BATCH_SIZE),
        beginnings: questions.map((question) => ({ question, continued: '' })),
        samples: 1,
        sampling: {
          temperature: 0,
          topP: 1,
          topK: 0,
          minP: 0,
          repetitionPenalty: 1,
          stop: [],
          maxTokens: settings.eval_max_new_tokens,
          seed: settings.seed,
          logprobs: false,
        },
        asking: { answer_start: '', splitter: 'auto' },
        path: folder.own(`generations/update-${update}.jsonl`),
        world,
      }),
    )
    if (rollouts === undefined) return {}
    const right = rollouts.filter(({ final_answer_correct }) => final_answer_correct === true).length
    const { value, low, high } = wilson(right, rollouts.length)
    const cut = rollouts.filter(({ finish }) => finish === 'length').length
    const repetitive = wilson(rollouts.filter(isRepetitive).length, rollouts.length)
    return {
      eval_accuracy: value ?? 0,
      eval_accuracy_low: low ?? 0,
      eval_accuracy_high: high ?? 1,
      eval_truncated: cut / rollouts.length,
      eval_repetitive: repetitive.value ?? 0,
      eval_repetitive_low: repetitive.low ?? 0,
      eval_repetitive_high: repetitive.high ?? 1,
    }
  } finally {
    await decoder.dispose()
  }
}

/** Sampling as evaluation. */
async function* progressOf(
  events: ReturnType<typeof sampleRollouts>,
): AsyncGenerator<RunEvent, readonly Rollout[] | undefined> {
  for (;;) {
    const next = await events.next()
    if (next.done) return next.value
    if (next.value.type === 'stage-progress') {
      yield { type: 'evaluation-progress', done: next.value.done, total: next.value.total }
    }
  }
}
