/** The local decoder as a generator: what a completion is depends on its names and the seed, and on nothing else. */
import { afterAll, describe, expect, test } from 'vitest'
import { writeTinyModel } from '../../scripts/tiny-model.ts'
import { folderMaker } from '../../test/folders.ts'
import { ortBackend } from '../engine/session.ts'
import { decodeGreedily, openDecoder } from '../model/decode.ts'
import { loadModel } from '../model/load.ts'
import { makeMachine } from '../model/machine.ts'
import { scoreRow, weightLayers } from '../model/pass.ts'
import { sequenceRow } from '../model/row.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import type { Completion, GenerateRequest, Sampling } from './generator.ts'
import { localGenerator } from './local.ts'

const folder = folderMaker()()
writeTinyModel(folder, 0)
const { config, weights } = loadModel(folder)
const machine = makeMachine(ortBackend({ threads: 2 }), config, weights)
const policy = { name: 'tiny', decoder: await openDecoder(machine), tokenizer: loadTokenizer(folder) }
afterAll(() => policy.decoder.dispose())

const plain: Sampling = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  stop: [],
  maxTokens: 12,
  seed: 5,
  logprobs: false,
}
const greedy: Sampling = { ...plain, temperature: 0 }
const never = new AbortController().signal

const question = (text: string) => ({ messages: [{ role: 'user', content: text }] })
const asked = (text: string, more: Partial<GenerateRequest> = {}): GenerateRequest => ({
  id: text,
  prompt: question(text),
  continued: '',
  sample: 0,
  ...more,
})
/** Prompts of different lengths, several samples each, some of which go on from a step. */
const requests = ['2+3', 'Ana has 4 pens. How many?', '', 'x'.repeat(70)].flatMap((text) =>
  [0, 1, 2, 3, 4].map((sample) => asked(text, { sample, continued: sample < 3 ? '' : 'First\n' })),
)

const nameOf = ({ request: { id, sample } }: Completion): string => `${id} ${sample}`

async function generate(
  wanted: Iterable<GenerateRequest>,
  sampling: Sampling = plain,
  batchSize = 4,
  generator = localGenerator(policy, batchSize),
): Promise<Map<string, Completion>> {
  const found = new Map<string, Completion>()
  for await (const one of generator.generate(wanted, sampling, never)) {
    expect(found.has(nameOf(one))).toBe(false)
    found.set(nameOf(one), one)
  }
  return found
}

async function only(request: GenerateRequest, sampling: Sampling = plain): Promise<Completion> {
  const [one] = (await generate([request], sampling)).values()
  return one
}

const sorted = (found: Map<string, Completion>) => [...found].sort(([a], [b]) => (a < b ? -1 : 1))

describe('determinism', () => {
  const sampling: Sampling = { ...plain, stop: ['a', 'é'], topP: 0.95, repetitionPenalty: 1.1, logprobs: true }

  test('ids and log-probabilities are the same to the last bit at batch sizes 1, 3, 8 and 64', async () => {
    const [first, ...others] = await Promise.all([1, 3, 8, 64].map((size) => generate(requests, sampling, size)))
    expect(first.size).toBe(requests.length)
    expect(new Set([...first.values()].map(({ ids }) => ids.length)).size).toBeGreaterThan(3)
    for (const other of others) expect(sorted(other)).toEqual(sorted(first))
  })

  test('a run that is stopped midway and begun again in another order ends as one that was left alone', async () => {
    const controller = new AbortController()
    const done = new Map<string, Completion>()
    const interrupted = async (): Promise<void> => {
      for await (const one of localGenerator(policy, 5).generate(requests, sampling, controller.signal)) {
        done.set(nameOf(one), one)
        if (done.size === 6) controller.abort(new Error('stopped'))
      }
    }
    await expect(interrupted()).rejects.toThrow('stopped')
    const missing = requests.filter(({ id, sample }) => !done.has(`${id} ${sample}`)).reverse()
    expect(missing.length).toBeGreaterThan(5)
    const rest = await generate(missing, sampling, 3)
    expect(sorted(new Map([...done, ...rest]))).toEqual(sorted(await generate(requests, sampling)))
  })

  test('another seed, sample or id gives another completion', async () => {
    const { ids } = await only(asked('2+3'))
    for (const other of [
      await only(asked('2+3'), { ...plain, seed: 6 }),
      await only(asked('2+3', { sample: 1 })),
      await only(asked('2+3', { id: 'other' })),
    ]) {
      expect(other.ids).not.toEqual(ids)
    }
  })
})

test('greedy completions are the most likely tokens, and go on from what was written so far', async () => {
  const prompt = policy.tokenizer.chatPrompt([{ role: 'user', content: '2+3' }])
  const expected: number[] = []
  const options = { maxNewTokens: 12, endIds: policy.tokenizer.eosIds }
  for await (const id of decodeGreedily(policy.decoder, prompt, options)) expected.push(id)
  const whole = await only(asked('2+3'), greedy)
  expect(whole.ids).toEqual(expected)
  expect(whole.text).toBe(policy.tokenizer.decodeContinuation(expected))

  const continued = 'Step 1: 2+3=5\n'
  const joined = [...prompt, ...policy.tokenizer.encodeContinuation(continued)]
  const rest: number[] = []
  for await (const id of decodeGreedily(policy.decoder, joined, options)) rest.push(id)
  expect((await only(asked('2+3', { continued }), greedy)).ids).toEqual(rest)
})

test('log-probabilities are those of the model itself, whatever temperature, filters and penalty', async () => {
  const sampling = { ...plain, temperature: 1.5, topK: 40, minP: 0.01, repetitionPenalty: 1.3, logprobs: true }
  const { ids, logps } = await only(asked('2+3'), sampling)
  const prompt = policy.tokenizer.chatPrompt([{ role: 'user', content: '2+3' }])
  const expected = await scoreRow(machine, sequenceRow([...prompt, ...ids], prompt.length), weightLayers(machine))
  expect(ids.length).toBeGreaterThan(5)
  logps?.forEach((logp, at) => {
    expect(Math.abs(logp - expected[at])).toBeLessThan(1e-4)
  })
  expect(logps).toHaveLength(ids.length)
})

test('a penalty keeps greedy decoding from saying a token again, also one of the prompt', async () => {
  const { ids } = await only(asked('abc'), { ...greedy, repetitionPenalty: 1000 })
  const prompt = policy.tokenizer.chatPrompt([{ role: 'user', content: 'abc' }])
  expect(new Set([...prompt, ...ids]).size).toBe(new Set(prompt).size + ids.length)
})

describe('how a completion ends', () => {
  const request = asked('2+3')

  test('at a stop string, which is left out; its tokens are not', async () => {
    const long = await only(request, { ...plain, maxTokens: 60 })
    const stop = long.text.slice(20, 22)
    const found = await only(request, { ...plain, maxTokens: 60, stop: [stop, 'never'] })
    expect(found).toMatchObject({ finish: 'stop', stop })
    expect(found.text).toBe(long.text.slice(0, long.text.indexOf(stop)))
    expect(found.ids).toEqual(long.ids.slice(0, found.ids.length))
    expect(policy.tokenizer.decodeContinuation(found.ids)).toContain(stop)
  })

  test('at a token that ends a turn, which is not among its tokens', async () => {
    const { ids } = await only(request, greedy)
    const at = ids.findIndex((id, place) => place > 0 && !ids.slice(0, place).includes(id))
    const ending = { ...policy, tokenizer: { ...policy.tokenizer, eosIds: [ids[at]] } }
    const [found] = (await generate([request], greedy, 2, localGenerator(ending, 2))).values()
    expect(found).toMatchObject({ ids: ids.slice(0, at), finish: 'stop', stop: null })
  })

  test('where no more tokens are allowed, by the caller or by the positions of the model', async () => {
    expect(await only(request)).toMatchObject({ finish: 'length', stop: null })
    const long = { raw: Array.from({ length: config.maxPositions - 2 }, (_, at) => 97 + (at % 20)) }
    expect((await only(asked('long', { prompt: long }))).ids).toHaveLength(2)
    const full = { raw: [...long.raw, 97, 98] }
    expect(await only(asked('full', { prompt: full }))).toMatchObject({ ids: [], finish: 'length' })
  })
})

test.each([0, 1])('weights that are no numbers are named, temperature %i', async (temperature) => {
  const { data, shape } = weights.head['model.norm.weight']
  const head = { ...weights.head, 'model.norm.weight': { data: data.map(() => Number.NaN), shape } }
  const decoder = await openDecoder(makeMachine(ortBackend({ threads: 1 }), config, { ...weights, head }))
  const broken = localGenerator({ ...policy, decoder }, 2)
  await expect(generate([asked('2+3')], { ...plain, temperature }, 2, broken)).rejects.toThrow(/tiny: .*2\+3.*NaN/)
  await decoder.dispose()
})

test('prompts without tokens, and tokens that the model does not know, are named', async () => {
  await expect(only(asked('empty', { prompt: { raw: '' } }))).rejects.toThrow(/prompt empty: .*a token/)
  await expect(only(asked('strange', { prompt: { raw: [5, 9999] } }))).rejects.toThrow(/prompt strange: .*9999/)
})

test('heat changes nothing up to the first line end, and what is chosen after it', async () => {
  const wanted = Array.from({ length: 24 }, (_, sample) => asked('2+3', { sample }))
  const sampling = { ...plain, temperature: 0.8, maxTokens: 40 }
  const cool = await generate(wanted, sampling, 24)
  const hot = await generate(wanted, { ...sampling, heat: { perLine: 50, most: 60 } }, 24)
  const changed = [...cool].filter(([name, { ids, text }]) => {
    const at = ids.indexOf(10)
    const same = at < 0 ? ids.length : at + 1
    expect(hot.get(name)?.ids.slice(0, same)).toEqual(ids.slice(0, same))
    return text.trimEnd().includes('\n') && hot.get(name)?.text !== text
  })
  expect(changed.length).toBeGreaterThan(0)
  const capped = await generate(wanted, { ...sampling, heat: { perLine: 50, most: 0.8 } }, 24)
  expect(sorted(capped)).toEqual(sorted(cool))
})
