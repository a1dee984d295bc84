/** Rollouts of served models, against a real server: what is asked, what is kept, and how it goes on when things fail. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Rollout, rolloutSchema } from '../src/data/rollout.ts'
import type { StageEvent } from '../src/data/stage-events.ts'
import type { Clock } from '../src/judge/clock.ts'
import { samplePrompt } from '../src/recipe/generate.ts'
import { generateFile } from '../src/recipe/generate-file.ts'
import { generateSchema } from '../src/recipe/generate-settings.ts'
import { servedModel } from '../src/recipe/policy.ts'
import type { World } from '../src/recipe/world.ts'
import { IncompleteError } from '../src/rollout/generator.ts'
import { folderMaker } from './folders.ts'
import { findLeaks } from './judge/leaks.ts'
import { type FakeServer, startServer } from './judge/server.ts'

const freshFolder = folderMaker()
const KEY = 'sk-proj-canary7Hq2zX9wLm4Tn0bVcK_3fRd-8YsJ6uGp1Qe5Wa'

const server = await startServer()
afterAll(() => server.close())

const data = join(freshFolder(), 'problems.jsonl')
writeFileSync(
  data,
  Array.from({ length: 6 }, (_, at) => `${JSON.stringify({ prompt: `Problem ${at}`, answer: '7' })}\n`).join(''),
)

/** Time passes at once; who waits how long is noted. */
function instantClock(): Clock & { readonly waits: readonly number[] } {
  const waits: number[] = []
  let now = 0
  return {
    waits,
    milliseconds: () => now,
    sleep: async (delayMs, signal) => {
      await new Promise(setImmediate)
      signal.throwIfAborted()
      waits.push(delayMs)
      now += delayMs
    },
  }
}

function makeWorld(more: Partial<World> = {}): World {
  return {
    now: () => new Date('2026-01-02T03:04:05Z'),
    seconds: () => performance.now() / 1000,
    environment: { OPENAI_API_KEY: KEY, VLLM_API_KEY: KEY, ANTHROPIC_API_KEY: KEY },
    signal: new AbortController().signal,
    clock: instantClock(),
    ...more,
  }
}

type Settings = Partial<z.input<typeof generateSchema>>

const settingsOf = (folder: string, more: Settings = {}) => ({
  ...generateSchema.parse({
    base_model: `vllm:m@${server.url}/v1`,
    num_samples: 2,
    output_dir: folder,
    dataset_path: data,
    ...more,
  }),
  dataset_path: data,
})

/** Runs to the end; gives what happened, and what was thrown. */
async function run(folder: string, more: Settings = {}, world = makeWorld()) {
  const events: StageEvent[] = []
  try {
    for await (const event of generateFile(settingsOf(folder, more), world)) events.push(event)
    return { events, error: undefined }
  } catch (error) {
    return { events, error }
  }
}

const textOf = (folder: string): string => readFileSync(join(folder, 'rollouts.jsonl'), 'utf8')

function rolloutsIn(folder: string): Rollout[] {
  if (!existsSync(join(folder, 'rollouts.jsonl'))) return []
  return textOf(folder)
    .trimEnd()
    .split('\n')
    .map((line) => rolloutSchema.parse(JSON.parse(line)))
}

async function rollouts(more: Settings = {}, world?: World): Promise<Rollout[]> {
  const folder = freshFolder()
  const { error } = await run(folder, more, world)
  if (error !== undefined) throw error
  return rolloutsIn(folder)
}

const sent = z.looseObject({
  seed: z.number().optional(),
  messages: z.array(z.object({ role: z.string(), content: z.string() })).optional(),
})

/** The bodies of the requests that came while `work` went on. */
async function bodiesOf(work: () => Promise<unknown>, at: FakeServer = server): Promise<z.output<typeof sent>[]> {
  const before = at.received.length
  await work()
  return at.received.slice(before).map(({ body }) => sent.parse(body))
}

const calm = freshFolder()
await run(calm)

describe('what is asked', () => {
  test('a chat gets the messages, all of the sampling, and a seed of its own for each sample, the same every time', async () => {
    const ask = () => rollouts({ system_prompt: 'Be brief.', stop: ['###'], temperature: 0.7, max_new_tokens: 33 })
    const bodies = await bodiesOf(ask)
    expect(bodies).toHaveLength(12)
    const { seed, ...body } = bodies[0]
    expect(body).toEqual({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Problem 0' },
      ],
      max_tokens: 33,
      temperature: 0.7,
      top_p: 1,
      top_k: -1,
      min_p: 0,
      repetition_penalty: 1,
      stop: ['###'],
    })
    const seeds = bodies.map((one) => one.seed)
    expect(new Set(seeds).size).toBe(12)
    expect(seeds.every((one) => Number.isInteger(one) && Number(one) >= 0 && Number(one) < 2 ** 31)).toBe(true)
    expect((await bodiesOf(ask)).map((one) => one.seed).sort()).toEqual(seeds.sort())
  })

  test('completions get text: system prompt, question and the beginning of the answer', async () => {
    let made: Rollout[] = []
    const bodies = await bodiesOf(async () => {
      made = await rollouts({
        endpoint: 'completions',
        system_prompt: 'Solve.',
        answer_start: 'Step 1:',
        logprobs: true,
      })
    })
    expect(bodies[0]).toMatchObject({ prompt: 'Solve.\n\nProblem 0\n\nStep 1:', logprobs: 1 })
    expect(bodies[0].messages).toBeUndefined()
    expect(made).toHaveLength(12)
    // The server's tokens are words, each of −0.5; it counts a token for every four characters.
    expect(made[0].completion).toMatch(/^Step 1:The answer is \d+\.$/)
    expect(made[0].logps).toEqual([-0.5, -0.5, -0.5, -0.5])
    expect(made[0].tokens).toBe(Math.ceil((made[0].completion.length - 'Step 1:'.length) / 4))
  })

  test('log-probabilities of a chat are those of the tokens', async () => {
    const [{ logps = [] }] = await rollouts({ logprobs: true })
    expect(logps).toHaveLength(4)
    expect(logps.every((logp) => logp < 0 && logp > Math.log(0.5))).toBe(true)
  })

  test('a begun answer is continued: vLLM is told so, and what was written is joined to the beginning', async () => {
    let made: Rollout[] = []
    const bodies = await bodiesOf(async () => {
      made = await rollouts({ answer_start: 'First,\n' })
    })
    expect(bodies[0]).toMatchObject({ add_generation_prompt: false, continue_final_message: true })
    expect(bodies[0].messages?.at(-1)).toEqual({ role: 'assistant', content: 'First,\n' })
    expect(made[0].completion).toMatch(/^First,\nThe answer is/)
    const other = await bodiesOf(() => rollouts({ base_model: `ollama:m@${server.url}/v1`, answer_start: 'First,\n' }))
    expect(other[0].messages?.at(-1)).toEqual({ role: 'assistant', content: 'First,\n' })
    expect(other[0]).not.toHaveProperty('continue_final_message')
  })

  test('Anthropic is asked by its own protocol, and gets no white space at the end of a begun answer', async () => {
    let made: Rollout[] = []
    const bodies = await bodiesOf(async () => {
      made = await rollouts({
        base_model: `claude-sonnet-4-5@${server.url}`,
        system_prompt: 'Be brief.',
        answer_start: 'First,\n',
        top_k: 5,
        temperature: 1,
      })
    })
    expect(bodies[0]).toEqual({
      model: 'claude-sonnet-4-5',
      system: 'Be brief.',
      max_tokens: 256,
      messages: [
        { role: 'user', content: 'Problem 0' },
        { role: 'assistant', content: 'First,' },
      ],
      top_k: 5,
    })
    expect(made[0]).toMatchObject({ finish: 'stop', maker: expect.stringContaining('anthropic:claude-sonnet-4-5') })
  })

  test.each([
    [
      `openai:m@http://x/v1`,
      { answer_start: 'First' },
      /openai: does not go on from the beginning .* What does: .*vllm/,
    ],
    ['ollama:m', { top_k: 20 }, /ollama: does not take --top_k 20\. What does: .*vllm, openrouter, llamacpp/],
    ['vllm:m', { adapter: 'folder' }, /--adapter: vllm:m is served/],
    ['claude-3', { logprobs: true }, /anthropic: does not give --logprobs/],
    ['groq:m', { endpoint: 'completions' as const }, /groq: has no --endpoint completions/],
  ])('%s refuses what it would pass over: %o', async (base_model, more, message) => {
    const world = makeWorld({ environment: { GROQ_API_KEY: KEY, ANTHROPIC_API_KEY: KEY } })
    await expect(rollouts({ base_model, ...more }, world)).rejects.toThrow(message)
  })

  test('--rpm and --concurrency bound the asking', async () => {
    const clock = instantClock()
    await rollouts({ rpm: 4 }, makeWorld({ clock }))
    // 12 requests, of which 4 go in each of three windows of 60 s.
    expect(clock.milliseconds()).toBeGreaterThanOrEqual(120_000)
    let most = 0
    const slow: FakeServer = await startServer({
      latencyMs: 5,
      answer: () => {
        most = Math.max(most, slow.received.length - slow.served.length)
        return 'x'
      },
    })
    await rollouts({ base_model: `vllm:m@${slow.url}/v1`, concurrency: 3 })
    expect(most).toBe(3)
    await slow.close()
  })
})

test('one prompt is answered by a served model, raw text only by completions', async () => {
  const base_model = `vllm:m@${server.url}/v1`
  const ask = async (more: Settings) => {
    const settings = generateSchema.parse({ base_model, prompt: 'Once upon', raw: true, ...more })
    const found = []
    for await (const { text } of samplePrompt({ ...settings, prompt: 'Once upon' }, makeWorld())) found.push(text)
    return found
  }
  const bodies = await bodiesOf(async () => {
    expect(await ask({ endpoint: 'completions', num_samples: 2 })).toHaveLength(2)
  })
  expect(bodies[0]).toMatchObject({ prompt: 'Once upon' })
  await expect(ask({})).rejects.toThrow(/--raw.*--endpoint completions/)
})

describe('what a name means', () => {
  test('what exists is a path, other names are those of providers, and what is neither is refused with both', () => {
    const folder = freshFolder()
    mkdirSync(join(folder, 'gpt-mine'))
    expect(servedModel(join(folder, 'gpt-mine'))).toBeUndefined()
    expect(servedModel('gpt-4o-mini')).toMatchObject({ provider: 'openai', model: 'gpt-4o-mini' })
    expect(servedModel('ollama:qwen3:0.6b')).toMatchObject({ provider: 'ollama', model: 'qwen3:0.6b' })
    for (const name of ['./nowhere', 'meta-llama/Llama-2-7b-hf', 'arithmetic', 'vllm:']) {
      expect(() => servedModel(name)).toThrow(/no such file or folder, and no provider.*provider:model/)
    }
  })

  test('a key that is missing is named, with what needs none', async () => {
    const asking = rollouts({ base_model: 'gpt-4o-mini' }, makeWorld({ environment: {} }))
    await expect(asking).rejects.toThrow(/OPENAI_API_KEY is not set.*--base_model vllm:MODEL/)
  })
})

describe('what fails', () => {
  test('a completion that is cut at its length is one', async () => {
    server.script(['length'])
    const made = await rollouts({ concurrency: 1 })
    expect(made.map(({ finish }) => finish)).toEqual(['length', ...Array(11).fill('stop')])
    expect(made[0].completion).toMatch(/^The answer is/)
  })

  test('limits, errors and cut replies are waited out, and leave the same file as a calm server', async () => {
    const folder = freshFolder()
    const clock = instantClock()
    server.script([
      '429-seconds',
      '500',
      'fin-mid-body',
      'html',
      'reset-before-headers',
      'missing-usage',
      'no-reason',
      '503',
    ])
    const { events, error } = await run(folder, {}, makeWorld({ clock }))
    expect(error).toBeUndefined()
    expect(textOf(folder)).toBe(textOf(calm))
    expect(clock.waits.some((wait) => wait >= 1000 && wait < 1600)).toBe(true)
    expect(events.at(-1)).toMatchObject({ type: 'stage-end' })
  })

  test('who stops and goes on asks only for the rest, and has the same file in the end', async () => {
    const folder = freshFolder()
    const stop = new AbortController()
    const before = server.received.length
    for await (const event of generateFile(settingsOf(folder), makeWorld({ signal: stop.signal }))) {
      if (event.type === 'stage-progress' && event.done === 3) stop.abort()
      if (event.type === 'stage-progress') expect(event.note).toMatch(/tok\/s/)
      else expect(['stage-begin', 'stage-stopped']).toContain(event.type)
    }
    const kept = rolloutsIn(folder).length
    expect(kept).toBeGreaterThanOrEqual(3)
    expect(kept).toBeLessThan(12)
    expect(server.received.length - before).toBeLessThanOrEqual(3 + 8)
    const { events } = await run(folder)
    expect(events[0]).toMatchObject({ type: 'stage-begin', known: kept, total: 12 })
    expect(events.filter(({ type }) => type === 'stage-progress')).toHaveLength(12 - kept)
    expect(textOf(folder)).toBe(textOf(calm))
  })

  test('a server that dies leaves what came; when it is back the same command goes on', async () => {
    const first = await startServer()
    const base_model = `vllm:m@${first.url}/v1`
    const folder = freshFolder()
    let error: unknown
    try {
      for await (const event of generateFile(settingsOf(folder, { base_model, concurrency: 2 }), makeWorld())) {
        if (event.type === 'stage-progress' && event.done === 5) await first.close()
      }
    } catch (thrown) {
      error = thrown
    }
    expect(String(error)).toContain(`from ${first.url}/v1`)
    expect(String(error)).toMatch(/the same command/)
    const kept = rolloutsIn(folder).length
    expect(kept).toBeGreaterThanOrEqual(5)
    expect(kept).toBeLessThan(12)
    const second = await startServer({ port: Number(new URL(first.url).port) })
    expect((await run(folder, { base_model })).error).toBeUndefined()
    expect(second.received).toHaveLength(12 - kept)
    const completions = (of: string) => rolloutsIn(of).map(({ completion }) => completion)
    expect(completions(folder)).toEqual(completions(calm))
    await second.close()
  })

  test('an unreachable server is given up after five prompts, with its address', async () => {
    const gone = await startServer()
    await gone.close()
    const clock = instantClock()
    const asking = rollouts({ base_model: `vllm:m@${gone.url}/v1`, num_samples: 1 }, makeWorld({ clock }))
    const error = await asking.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(IncompleteError)
    expect(String(error)).toContain(`no completions come from ${gone.url}/v1`)
    expect(String(error)).toMatch(/ECONNREFUSED.*6 attempts.*the same command goes on/)
    expect(clock.waits.length).toBeLessThanOrEqual(6 * 5)
  })

  test('one that fails for good does not stop the others; it is told, and asked for again', async () => {
    const folder = freshFolder()
    server.script([null, null, '400', 'content-filter'])
    const { events, error } = await run(folder, { concurrency: 1 })
    expect(error).toBeInstanceOf(IncompleteError)
    expect(String(error)).toMatch(/2 of 12 completions did not come from .*1 refused-request, 1 content-filter/)
    const dropped = events.filter(({ type }) => type === 'items-dropped')
    expect(dropped).toMatchObject([
      {
        what: 'rollouts',
        count: 1,
        total: 12,
        reason: 'refused-request',
        example: expect.stringContaining('HTTP 400'),
      },
      { what: 'rollouts', count: 1, total: 12, reason: 'content-filter' },
    ])
    expect(rolloutsIn(folder)).toHaveLength(10)
    expect(await bodiesOf(() => run(folder))).toHaveLength(2)
    expect(textOf(folder)).toBe(textOf(calm))
  })

  test('a server that fails every other time is not given up', async () => {
    const folder = freshFolder()
    server.script(Array.from({ length: 12 }, (_, at) => (at % 2 === 0 ? '500' : null)))
    const { error } = await run(folder, { concurrency: 1, attempts: 1 })
    expect(String(error)).toMatch(/6 of 12 completions did not come from .*6 server-error/)
    expect(rolloutsIn(folder)).toHaveLength(6)
  })

  test('another model than was asked is no rollout', async () => {
    server.script(Array(12).fill('wrong-model'))
    const { error } = await run(freshFolder(), { base_model: `openai:gpt-4@${server.url}/v1`, concurrency: 1 })
    expect(String(error)).toMatch(/another model answered: gpt-3.5-turbo-0125/)
    server.script([])
  })
})

describe('keys', () => {
  test('a key that the server echoes is in no file, event or message', async () => {
    const folder = freshFolder()
    const echo = await startServer({ answer: () => `You sent ${KEY}. The answer is 7.` })
    const base_model = `vllm:m@${echo.url}/v1`
    const { events } = await run(folder, { base_model })
    expect(echo.received[0].headers.authorization).toBe(`Bearer ${KEY}`)
    expect(rolloutsIn(folder)[0]).toMatchObject({
      final_answer_correct: true,
      completion: expect.stringContaining('[secret]'),
    })
    await echo.close()
    const strict = await startServer({ key: 'another' })
    const refused = await run(freshFolder(), { base_model: `vllm:m@${strict.url}/v1` })
    await strict.close()
    expect(String(refused.error)).toMatch(/HTTP 401: Incorrect API key provided/)
    const files = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
    const written = [...files, JSON.stringify(events), JSON.stringify(refused.events), String(refused.error)]
    expect(written.flatMap((text) => findLeaks(text, KEY))).toEqual([])
  })
})
