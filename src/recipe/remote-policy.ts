/** @file A served model as a generator: many requests at a time, sent again where it helps, within the limits that are set. */
import { setMaxListeners } from 'node:events'
import type { FailureKind } from '../data/judgement.ts'
import { ChatError } from '../judge/chat.ts'
import { systemClock } from '../judge/clock.ts'
import { createLimits } from '../judge/limits.ts'
import { type ChatName, openServer } from '../judge/provider.ts'
import { askServer, postJson } from '../judge/providers/http.ts'
import { sendUntilReply } from '../judge/resend.ts'
import { DEFAULT_RETRY } from '../judge/retry.ts'
import {
  type Completion,
  type GenerateRequest,
  type Generator,
  IncompleteError,
  type Sampling,
} from '../rollout/generator.ts'
import type { PolicySettings } from './generate-settings.ts'
import { createMailbox, inParallel } from './in-parallel.ts'
import { refuseUnknown } from './remote-habits.ts'
import { type Remote, readCompletion, requestOf } from './remote-protocol.ts'
import type { World } from './world.ts'

/** What one call of `generate` works with. */
interface Work {
  readonly remote: Remote
  readonly sampling: Sampling
  readonly send: (request: GenerateRequest, sampling: Sampling, signal: AbortSignal) => Promise<Completion>
  readonly concurrency: number
}

/**
 * Completes prompts by a server. Nothing is sent before it is asked.
 * @throws UsageError for a key that is missing, and for keys and addresses that are none.
 */
export function remoteGenerator(name: ChatName, settings: PolicySettings, world: World): Generator {
  const { concurrency, endpoint, timeout } = settings
  const { environment } = world
  const advice = '--base_model vllm:MODEL@http://localhost:8000/v1, ollama:MODEL, or a model folder'
  const remote = { name, endpoint, ...openServer(name, { environment, timeoutMs: timeout * 1000, advice }) }
  const send = sender(remote, settings, world)
  return {
    name: `${remote.server.name} ${endpoint}`,
    generate: (requests, sampling, signal) => run({ remote, sampling, send, concurrency }, [...requests], signal),
  }
}

/** Sends a request until its completion is there, among all others within the limits. */
function sender(remote: Remote, { attempts, concurrency, rpm, tpm }: PolicySettings, world: World): Work['send'] {
  const { clock = systemClock } = world
  const limits = createLimits({ concurrency, requestsPerMinute: rpm ?? null, tokensPerMinute: tpm ?? null }, clock)
  const retry = { ...DEFAULT_RETRY, attempts }
  return (request, sampling, signal) => {
    const document = requestOf(remote, request, sampling)
    // No tokenizer in use makes more tokens than bytes.
    const most = Buffer.byteLength(document.body) + sampling.maxTokens
    const label = `${request.id} ${request.sample}`
    return sendUntilReply({ label, retry, limits, clock, signal }, async () => {
      const slot = await limits.enter(most, signal)
      let taken: number | null = null
      try {
        const read = await askServer(remote.server, async (server) =>
          readCompletion({ ...remote, server }, request, await postJson(server, document, signal)),
        )
        taken = read.taken
        return read.completion
      } catch (error) {
        if (error instanceof ChatError) return error
        throw error
      } finally {
        slot.leave(taken)
      }
    })
  }
}

async function* run(
  work: Work,
  requests: readonly GenerateRequest[],
  signal: AbortSignal,
): AsyncGenerator<Completion, void> {
  const { remote, sampling, concurrency } = work
  refuseUnknown({ provider: remote.name.provider, endpoint: remote.endpoint, requests, sampling })
  const ended = new AbortController()
  const running = AbortSignal.any([signal, ended.signal])
  setMaxListeners(0, running)
  const failures = countFailures(remote, requests.length)
  const options = { limit: concurrency, signal: running, mailbox: createMailbox<{ result: Completion | Failed }>() }
  try {
    for await (const happening of inParallel<GenerateRequest, Completion | Failed, never>(
      requests,
      options,
      (request) => work.send(request, sampling, running).catch((error: unknown) => failed(request, error)),
    )) {
      if (!('result' in happening)) continue
      if ('error' in happening.result) {
        if (!signal.aborted) failures.add(happening.result)
      } else {
        failures.succeed()
        yield happening.result
      }
    }
    signal.throwIfAborted()
    failures.finish()
  } finally {
    ended.abort()
  }
}

interface Failed {
  readonly request: GenerateRequest
  readonly error: ChatError
}

function failed(request: GenerateRequest, error: unknown): Failed {
  if (error instanceof ChatError) return { request, error }
  throw error
}

/** Failures that say something of the server, and not of what it was asked. */
const OF_SERVER: ReadonlySet<FailureKind> = new Set([
  'network',
  'timeout',
  'rate-limit',
  'quota',
  'server-error',
  'unauthorized',
])

/** After so many prompts in a row that only fail there is no use in asking for the others. */
const MOST_IN_VAIN = 5

/** Counts what failed, and gives up where nothing comes any more. */
function countFailures({ server }: Remote, total: number) {
  const failures = new Map<string, { count: number; example: string }>()
  const places = countPlaces(server)
  const inVain = new Set<string>()
  let count = 0
  let hasSucceeded = false
  return {
    succeed: (): void => {
      hasSucceeded = true
      inVain.clear()
    },
    /** @throws IncompleteError where it is one too many. */
    add: ({ request, error }: Failed): void => {
      const { kind } = error.facts
      const known = failures.get(kind) ?? { count: 0, example: error.message }
      failures.set(kind, { ...known, count: known.count + 1 })
      places.add(error)
      count++
      if (OF_SERVER.has(kind) || !hasSucceeded) inVain.add(request.id)
      if (inVain.size < MOST_IN_VAIN) return
      const addresses = server.endpoints?.addresses ?? [server.baseUrl]
      throw new IncompleteError(
        `no completions come from ${addresses.join(', ')}: ${error.message}. What has come is kept; the same command goes on`,
        failures,
      )
    },
    /** @throws IncompleteError where something has failed. */
    finish: (): void => {
      if (count === 0) return
      throw new IncompleteError(
        `${count} of ${total} completions did not come from ${places.describe()}. ` +
          'What has come is kept; the same command asks for these again',
        failures,
      )
    },
  }
}

/** Counts failures by the addresses where they happened, of which several may have failed for one completion. */
function countPlaces({ baseUrl }: Remote['server']) {
  const places = new Map<string, { readonly kinds: Map<FailureKind, number>; readonly example: string }>()
  return {
    add: ({ message, facts }: ChatError): void => {
      const found = facts.byAddress ?? [{ address: baseUrl, kind: facts.kind, why: message }]
      for (const { address, kind, why } of found) {
        const place = places.get(address) ?? { kinds: new Map(), example: why }
        place.kinds.set(kind, (place.kinds.get(kind) ?? 0) + 1)
        places.set(address, place)
      }
    },
    describe: (): string =>
      Array.from(places, ([address, { kinds, example }]) => {
        const counts = Array.from(kinds, ([kind, times]) => `${times} ${kind}`).join(', ')
        return `${address} (${counts}; ${example})`
      }).join(' and '),
  }
}
