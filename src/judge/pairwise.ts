/** @file Which of two next steps is better: asked in both orders, so that the order decides nothing. */
import { z } from 'zod'
import type { FailureKind } from '../data/judgement.ts'
import { type Asker, ChatError, type ChatRequest } from './chat.ts'
import { makeFence } from './fence.ts'
import type { Solution } from './port.ts'
import * as prompt from './prompts/pairwise.ts'
import { dataOf, piecesOf } from './prompts/parts.ts'
import { readObject } from './reply.ts'

export type Comparison =
  | { readonly state: 'scored'; readonly better: 'first' | 'second' | 'tie'; readonly why: string }
  | { readonly state: 'abstained'; readonly why: string }
  | { readonly state: 'failed'; readonly kind: FailureKind; readonly why: string }

type Sampling = Pick<ChatRequest, 'maxTokens' | 'temperature' | 'topP' | 'seed'>

/** One order: which of the two, as it stands there, is better. */
async function askOrder(
  asker: Asker,
  prefix: Solution,
  [a, b]: readonly [string, string],
  { sampling, signal }: { readonly sampling: Sampling; readonly signal: AbortSignal },
) {
  const fence = makeFence([...piecesOf(prefix), a, b])
  const schema = z.strictObject({
    mark: z.literal(fence.mark),
    reason: z.string(),
    better: z.enum(['A', 'B', 'tie']),
  })
  const { $schema: _, ...json } = z.toJSONSchema(schema)
  const asked = [`MARK is ${fence.mark}`, dataOf(prefix, fence), fence.wrap('STEP A', a), fence.wrap('STEP B', b)]
  const { reply } = await asker.ask(
    {
      messages: [
        { role: 'system', content: prompt.system },
        { role: 'user', content: asked.join('\n') },
      ],
      schema: { name: 'better_step', json },
      topLogprobs: 0,
      sample: 0,
      ...sampling,
    },
    signal,
  )
  return readObject(reply.text, schema)
}

function unreadable(why: string): Comparison {
  return { state: 'failed', kind: 'unreadable-verdict', why }
}

/** Compares two continuations of `prefix`. Where the answer turns with the order, the judge abstains. */
export async function comparePair(
  asker: Asker,
  prefix: Solution,
  [first, second]: readonly [string, string],
  options: { readonly sampling: Sampling; readonly signal: AbortSignal },
): Promise<Comparison> {
  try {
    const [given, swapped] = await Promise.all([
      askOrder(asker, prefix, [first, second], options),
      askOrder(asker, prefix, [second, first], options),
    ])
    if ('unreadable' in given) return unreadable(given.unreadable)
    if ('unreadable' in swapped) return unreadable(swapped.unreadable)
    const names = { A: 'first', B: 'second', tie: 'tie' } as const
    const turned = { A: 'second', B: 'first', tie: 'tie' } as const
    const better = names[given.value.better]
    if (better !== turned[swapped.value.better]) return { state: 'abstained', why: 'the verdict turns with the order' }
    return { state: 'scored', better, why: given.value.reason }
  } catch (error) {
    if (!(error instanceof ChatError)) throw error
    return { state: 'failed', kind: error.facts.kind, why: error.message }
  }
}
