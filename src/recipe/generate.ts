/** @file Greedy decoding of one prompt: the `generate` command, a check of the forward pass. */
import { decodeGreedily } from '../model/decode.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import type { GenerateSettings } from './command-settings.ts'
import { openModel } from './score.ts'

/** A piece of the answer. Pieces join to the text; a character of several tokens comes whole. */
export interface GeneratedPiece {
  readonly ids: readonly number[]
  readonly text: string
}

/** The ids of the prompt first, then the answer piece by piece. */
export async function* generate(settings: GenerateSettings): AsyncGenerator<GeneratedPiece, readonly number[]> {
  const tokenizer = loadTokenizer(settings.base_model)
  const { machine, layers } = openModel(settings)
  try {
    const { prompt, max_new_tokens: maxNewTokens } = settings
    const ids = settings.raw ? tokenizer.rawPrompt(prompt) : tokenizer.chatPrompt([{ role: 'user', content: prompt }])
    const options = { maxNewTokens, endIds: tokenizer.eosIds }
    let waiting: number[] = []
    for await (const id of decodeGreedily(machine, layers, ids, options)) {
      waiting.push(id)
      const text = tokenizer.decodeContinuation(waiting)
      if (text.endsWith('\ufffd') && waiting.length < 8) continue // a character that is not whole yet
      yield { ids: waiting, text }
      waiting = []
    }
    if (waiting.length > 0) yield { ids: waiting, text: tokenizer.decodeContinuation(waiting) }
    return ids
  } finally {
    await machine.dispose()
  }
}
