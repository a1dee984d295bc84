/** What StepwiseRewardModel takes besides a name: keys, addresses, judges of one's own, recordings. */
import { join } from 'node:path'
import { format, inspect } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { type StepJudge, StepwiseRewardModel, type World } from '../../src/index.ts'
import { folderMaker } from '../folders.ts'
import { labelSteps, seeQuestion } from './answers.ts'
import { startServer } from './server.ts'

const freshFolder = folderMaker()
const KEY = 'sk-canary-5f2c9d-Qx81Lm4T'
const answer = (asked: { readonly question: string }): string =>
  labelSteps(seeQuestion(asked), (step) => (step.includes('wrong') ? 'incorrect' : 'correct'))
const server = await startServer({ key: KEY, answer })
afterAll(() => server.close())

function makeWorld(environment: Readonly<Record<string, string>> = {}): World {
  return {
    now: () => new Date('2026-01-02T03:04:05Z'),
    seconds: () => 0,
    environment: { STEPDPO_CACHE: freshFolder(), ...environment },
    signal: new AbortController().signal,
  }
}

const address = `${server.url}/v1`

describe('a key and an address given in TypeScript', () => {
  test.each(['gpt-4', 'openai:gpt-4', 'claude-sonnet-4-5'])('reach %s', async (modelName) => {
    const rewarder = new StepwiseRewardModel({ modelName, apiKey: KEY, baseURL: address }, makeWorld())
    expect((await rewarder.evaluate('p', 'One step.\nThat is wrong.')).score).toBe(0)
    await rewarder.close()
  })

  test('come before the key of the environment, and are printed by nothing', async () => {
    const world = makeWorld({ OPENAI_API_KEY: 'sk-of-somebody-else' })
    const rewarder = new StepwiseRewardModel({ modelName: 'gpt-4', apiKey: KEY, baseURL: address }, world)
    const { steps } = await rewarder.evaluate('p', 'One step.')
    expect(steps[0].state).toBe('scored')
    const wrong = new StepwiseRewardModel({ modelName: 'gpt-4', apiKey: `${KEY}-but-wrong`, baseURL: address }, world)
    const refused = await wrong.evaluate('q', 'One step.') // the server quotes the key that it was sent
    expect(refused.steps[0]).toMatchObject({
      state: 'failed',
      kind: 'unauthorized',
      why: expect.stringContaining('[secret]'),
    })
    const shown = [rewarder, wrong, refused].flatMap((one) => [
      inspect(one, { showHidden: true, depth: 9 }),
      JSON.stringify(one),
      format('%s %j %o %O', one, one, one, one),
      String(Object.entries(one)),
    ])
    for (const text of shown) expect(text).not.toContain('canary')
    await Promise.all([rewarder.close(), wrong.close()])
  })

  test('that cannot be meant are refused without being quoted', () => {
    const make = (options: object): string => {
      try {
        new StepwiseRewardModel({ modelName: 'gpt-4', ...options }, makeWorld())
      } catch (error) {
        return inspect(error)
      }
      return 'taken'
    }
    const refusals = [
      make({ apiKey: `${KEY} with blanks` }),
      make({ apiKey: '' }),
      make({ modelName: ['gpt-4', 'claude-sonnet-4-5'], apiKey: KEY }),
      make({ modelName: 'arithmetic', apiKey: KEY }),
      make({ modelName: `gpt-4@${address}`, baseURL: address }),
    ]
    for (const refusal of refusals) expect(refusal).toMatch(/UsageError: (?:apiKey|baseURL)/)
    expect(refusals.join()).not.toContain('canary')
    expect(make({ baseURL: address })).toBe('taken')
  })
})

describe('OPENAI_BASE_URL and ANTHROPIC_BASE_URL', () => {
  test.each([
    ['gpt-4', { OPENAI_BASE_URL: address, OPENAI_API_KEY: KEY }],
    ['claude-sonnet-4-5', { ANTHROPIC_BASE_URL: server.url, ANTHROPIC_API_KEY: KEY }],
  ])('say where %s is', async (modelName, environment) => {
    const rewarder = new StepwiseRewardModel({ modelName }, makeWorld(environment))
    expect((await rewarder.evaluate('p', 'One step.')).score).toBe(1)
    await rewarder.close()
  })

  test('give way to an address in the name, and are not quoted where they are none', async () => {
    const nowhere = { OPENAI_BASE_URL: 'http://127.0.0.1:59/v1', OPENAI_API_KEY: KEY }
    const rewarder = new StepwiseRewardModel({ modelName: `gpt-4@${address}` }, makeWorld(nowhere))
    expect((await rewarder.evaluate('p', 'One step.')).score).toBe(1)
    await rewarder.close()
    const bad = new StepwiseRewardModel(
      { modelName: 'gpt-4' },
      makeWorld({ OPENAI_BASE_URL: `http://me:${KEY}@host/v1` }),
    )
    const refused = expect(bad.evaluate('p', 'One step.')).rejects
    await refused.toThrow(/^OPENAI_BASE_URL must be like https:/)
    await refused.not.toThrow(/canary/)
  })

  test('that name the vendor itself change nothing: a key is needed', async () => {
    const world = makeWorld({ OPENAI_BASE_URL: 'https://api.openai.com/v1/' })
    const rewarder = new StepwiseRewardModel({ modelName: 'gpt-4' }, world)
    await expect(rewarder.evaluate('p', 'One step.')).rejects.toThrow(/OPENAI_API_KEY is not set/)
  })
})

test('a judge of one’s own: scores that mean values are aggregated by the last, others by the product', async () => {
  const scores = [0.9, 0.5, 0.8]
  const ownJudge = (meaning: StepJudge['meaning']): StepJudge => ({
    name: 'own',
    meaning,
    judge: async ({ steps }) => ({
      steps: steps.map((_, at) => ({ state: 'scored', score: scores[at], label: 'correct', why: '' })),
      usage: { calls: 0, cached: 0, promptTokens: 0, completionTokens: 0, cost: 0 },
    }),
  })
  const evaluate = async (options: ConstructorParameters<typeof StepwiseRewardModel>[0]) => {
    const rewarder = new StepwiseRewardModel(options, makeWorld())
    const { score, aggregation } = await rewarder.evaluate('p', ['a', 'b', 'c'])
    await rewarder.close()
    return { score, aggregation }
  }
  expect(await evaluate({ modelName: ownJudge('value') })).toEqual({ score: 0.8, aggregation: 'last' })
  const product = await evaluate({ modelName: ownJudge('correctness') })
  expect(product.aggregation).toBe('product')
  expect(product.score).toBeCloseTo(0.36, 12)
  expect(await evaluate({ modelName: ownJudge('value'), aggregation: 'min' })).toEqual({
    score: 0.5,
    aggregation: 'min',
  })
})

test('what was asked in a cache folder is replayed from its ledger, without a server and a key', async () => {
  const recording = freshFolder()
  const shortLived = await startServer({ answer })
  const generation = 'One step.\nThat is wrong.\nNothing more.'
  const options = { args: { votes: 2 } }
  const rewarder = new StepwiseRewardModel(
    { ...options, modelName: `vllm:m@${shortLived.url}/v1` },
    makeWorld({ STEPDPO_CACHE: recording }),
  )
  const recorded = await rewarder.evaluate('p', generation)
  const compared = await rewarder.evaluate('another problem', generation)
  await rewarder.close()
  await shortLived.close()
  const modelName = `replay:${join(recording, 'judge', 'ledger.jsonl')}`
  const replay = new StepwiseRewardModel({ ...options, modelName }, makeWorld())
  const replayed = await replay.evaluate('p', generation)
  expect(replayed.steps).toEqual(recorded.steps)
  expect(recorded.score).toBe(0)
  expect(replayed.usage).toMatchObject({ calls: 2, cost: 0 })
  expect((await replay.evaluate('another problem', generation)).steps).toEqual(compared.steps)
  const unknown = await replay.evaluate('never asked', generation)
  expect(unknown.steps[0]).toMatchObject({ state: 'failed', kind: 'refused-request' })
  await replay.close()
})
