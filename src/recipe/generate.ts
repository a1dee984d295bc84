/** @file Answers to one prompt: the `generate --prompt` command. */
import { availableParallelism } from 'node:os'
import { UserError } from '../base/errors.ts'
import { userPrompt } from '../data/labelled.ts'
import type { Prompt } from '../data/records.ts'
import { ortBackend } from '../engine/session.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import { decodeGreedily, openDecoder } from '../model/decode.ts'
import { nameWith } from '../model/finite.ts'
import { loadKept } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import type { Completion } from '../rollout/generator.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import type { GenerateSettings } from './generate-settings.ts'
import { keepFor, openPolicy } from './policy.ts'
import { askedPrompt, samplingOf } from './sample.ts'
import type { World } from './world.ts'

/** A piece of the answer. Pieces join to the text; a character of several tokens comes whole. */
export interface GeneratedPiece {
  readonly ids: readonly number[]
  readonly text: string
}

/**
 * The answer piece by piece, up to the positions that the model has; returns the ids of the prompt.
 * @throws UserError for a prompt that leaves no room for an answer, and a model whose numbers are not finite.
 */
export async function* generate(
  settings: GenerateSettings & { readonly prompt: string },
): AsyncGenerator<GeneratedPiece, readonly number[]> {
  const tokenizer = loadTokenizer(settings.base_model)
  const { config, weights } = loadKept(settings.base_model, keepFor(settings.decode_dtype))
  const machine = makeMachine(ortBackend({ threads: settings.threads ?? availableParallelism() }), config, weights)
  const adapter = settings.adapter === undefined ? undefined : loadAdapter(settings.adapter, config)
  const decoder = await openDecoder(machine, { adapter, storage: settings.decode_dtype })
  try {
    const { prompt, max_new_tokens } = settings
    const ids = settings.raw ? tokenizer.rawPrompt(prompt) : tokenizer.chatPrompt([{ role: 'user', content: prompt }])
    const room = config.maxPositions - ids.length
    if (room <= 0) {
      throw new UserError(
        `--prompt: expected fewer tokens than the model's ${config.maxPositions}, found ${ids.length}`,
      )
    }
    const maxNewTokens = Math.min(max_new_tokens, room)
    const options = { maxNewTokens, endIds: tokenizer.eosIds, name: nameWith(settings) }
    let waiting: number[] = []
    for await (const id of decodeGreedily(decoder, ids, options)) {
      waiting.push(id)
      const text = tokenizer.decodeContinuation(waiting)
      if (text.endsWith('\ufffd') && waiting.length < 8) continue // a character that is not whole yet
      yield { ids: waiting, text }
      waiting = []
    }
    if (waiting.length > 0) yield { ids: waiting, text: tokenizer.decodeContinuation(waiting) }
    return ids
  } finally {
    await decoder.dispose()
  }
}

/** Samples of the answer to one prompt, as they end. */
export async function* samplePrompt(
  settings: GenerateSettings & { readonly prompt: string },
  world: World,
): AsyncGenerator<Completion> {
  const policy = await openPolicy(settings, world)
  try {
    const prompt: Prompt = settings.raw
      ? { raw: settings.prompt }
      : askedPrompt(userPrompt(settings.prompt), settings.system_prompt)
    const requests = Array.from({ length: settings.num_samples }, (_, sample) => ({
      id: settings.prompt,
      prompt,
      continued: settings.answer_start,
      sample,
    }))
    const sampling = samplingOf(settings, settings.logprobs)
    yield* policy.generator.generate(requests, sampling, world.signal)
  } finally {
    await policy.dispose()
  }
}
