/** @file What the servers that sample take beyond what all of them take, and the refusal of what one does not take. */
import { UserError } from '../base/errors.ts'
import type { Provider } from '../judge/provider.ts'
import type { GenerateRequest, Sampling } from '../rollout/generator.ts'
import type { Endpoint } from './generate-settings.ts'

type Filter = 'topK' | 'minP' | 'repetitionPenalty'

/** From a value to the parameters that mean it. */
type Write = (value: number) => Readonly<Record<string, number>>

export interface RemoteHabits {
  /** Whether chat goes on from a last message of the assistant: by itself, where it is told to, or not at all. */
  readonly continues: 'always' | 'told' | 'never'
  readonly hasCompletions: boolean
  readonly takesSeed: boolean
  readonly givesLogprobs: boolean
  /** Sent with neutral values too: servers have defaults of their own (vLLM those of the model, llama.cpp top_k 40). */
  readonly filters: { readonly [F in Filter]?: Write }
}

const openaiLike = { hasCompletions: true, takesSeed: true, givesLogprobs: true }

/**
 * Sources: vLLM "OpenAI-Compatible Server" (extra parameters; −1 is every version's word for no top_k), llama.cpp
 * tools/server/README (last messages: #13174, #23012), Ollama docs/openai.md and issue #6778, OpenRouter "Parameters" and
 * "Assistant Prefill", Groq "Prefilling" and "OpenAI Compatibility", Anthropic "Messages" and "Prefill".
 */
export const REMOTE_HABITS: { readonly [P in Provider]: RemoteHabits } = {
  openai: { ...openaiLike, continues: 'never', filters: {} },
  anthropic: {
    continues: 'always',
    hasCompletions: false,
    takesSeed: false,
    givesLogprobs: false,
    filters: { topK: (topK): Record<string, number> => (topK === 0 ? {} : { top_k: topK }) },
  },
  vllm: {
    ...openaiLike,
    continues: 'told',
    filters: {
      topK: (topK) => ({ top_k: topK === 0 ? -1 : topK }),
      minP: (minP) => ({ min_p: minP }),
      repetitionPenalty: (penalty) => ({ repetition_penalty: penalty }),
    },
  },
  ollama: { ...openaiLike, continues: 'always', filters: {} },
  openrouter: {
    ...openaiLike,
    continues: 'always',
    filters: {
      topK: (topK) => ({ top_k: topK }),
      minP: (minP) => ({ min_p: minP }),
      repetitionPenalty: (penalty) => ({ repetition_penalty: penalty }),
    },
  },
  llamacpp: {
    ...openaiLike,
    continues: 'told',
    filters: {
      topK: (topK) => ({ top_k: topK }),
      minP: (minP) => ({ min_p: minP }),
      // −1: of all tokens, not of the last 64.
      repetitionPenalty: (penalty) => ({ repeat_penalty: penalty, repeat_last_n: -1 }),
    },
  },
  groq: { ...openaiLike, continues: 'always', hasCompletions: false, givesLogprobs: false, filters: {} },
  gemini: { ...openaiLike, continues: 'never', hasCompletions: false, takesSeed: false, filters: {} },
}

const NEUTRAL: { readonly [F in Filter]: number } = { topK: 0, minP: 0, repetitionPenalty: 1 }
const FLAGS: { readonly [F in Filter]: string } = {
  topK: 'top_k',
  minP: 'min_p',
  repetitionPenalty: 'repetition_penalty',
}
const FILTERS = ['topK', 'minP', 'repetitionPenalty'] as const

/** The parameters of the filters that a provider has. */
export function filterParams(habits: RemoteHabits, sampling: Sampling): Readonly<Record<string, number>> {
  return Object.assign({}, ...FILTERS.map((filter) => habits.filters[filter]?.(sampling[filter])))
}

export interface Wish {
  readonly provider: Provider
  readonly endpoint: Endpoint
  readonly requests: readonly GenerateRequest[]
  readonly sampling: Sampling
}

/** @throws UserError for what the server would refuse or, worse, pass over. */
export function refuseUnknown({ provider, endpoint, requests, sampling }: Wish): void {
  const habits = REMOTE_HABITS[provider]
  const refuse = (what: string, has: (other: RemoteHabits) => boolean): never => {
    const others = Object.entries(REMOTE_HABITS).flatMap(([name, other]) => (has(other) ? [name] : []))
    throw new UserError(`${provider}: ${what}. What does: ${others.join(', ')}, and models in a folder`)
  }
  for (const filter of FILTERS) {
    if (sampling[filter] !== NEUTRAL[filter] && habits.filters[filter] === undefined) {
      refuse(`does not take --${FLAGS[filter]} ${sampling[filter]}`, ({ filters }) => filters[filter] !== undefined)
    }
  }
  if (sampling.heat !== undefined) {
    throw new UserError(`${provider}: a server keeps one temperature; a rising one needs a model in a folder`)
  }
  if (sampling.logprobs && !habits.givesLogprobs) {
    refuse('does not give --logprobs', ({ givesLogprobs }) => givesLogprobs)
  }
  if (endpoint === 'completions') {
    if (!habits.hasCompletions) refuse('has no --endpoint completions', ({ hasCompletions }) => hasCompletions)
    return
  }
  if (habits.continues === 'never' && requests.some(({ continued }) => continued !== '')) {
    refuse('does not go on from the beginning of an answer in a chat', ({ continues }) => continues !== 'never')
  }
  if (requests.some(({ prompt }) => 'raw' in prompt)) {
    throw new UserError('--raw: a chat has messages, and no raw text; say --endpoint completions')
  }
}
