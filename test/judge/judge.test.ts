/** Judging from names and files to judgements, against a real server: what is asked, paid, kept and resumed. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { JudgeEvent } from '../../src/data/judge-events.ts'
import { StepwiseRewardModel } from '../../src/index.ts'
import { evalJudge } from '../../src/recipe/eval-judge.ts'
import { judgeFile } from '../../src/recipe/judge.ts'
import { judgeSchema } from '../../src/recipe/judge-settings.ts'
import type { World } from '../../src/recipe/world.ts'
import { folderMaker } from '../folders.ts'
import { labelSteps, seeQuestion } from './answers.ts'
import { startServer } from './server.ts'

const freshFolder = folderMaker()
const server = await startServer({
  answer: (asked) => labelSteps(seeQuestion(asked), (step) => (step.includes('wrong') ? 'incorrect' : 'correct')),
})
afterAll(() => server.close())

const KEY = 'sk-canary-5f2c9d'

function makeWorld(cache = freshFolder()): World {
  return {
    now: () => new Date('2026-01-02T03:04:05Z'),
    seconds: () => performance.now() / 1000,
    environment: { STEPDPO_CACHE: cache, OPENAI_API_KEY: KEY },
    signal: new AbortController().signal,
  }
}

const judgeName = `openai:gpt-4@${server.url}/v1`

/** Twelve solutions in ProcessBench's form: the label is the step that says so. */
function writeRows(folder: string): string {
  const rows = Array.from({ length: 12 }, (_, index) => {
    const label = (index % 4) - 1
    const steps = ['a b c', 'd e f', 'g h i'].map((text, at) => `${index} ${text}${at === label ? ' wrong' : ''}`)
    return { id: `row-${index}`, problem: `Problem ${index}`, steps, final_answer_correct: label === -1, label }
  })
  const path = join(folder, 'rows.json')
  writeFileSync(path, JSON.stringify(rows))
  return path
}

async function collect(events: AsyncGenerator<JudgeEvent, unknown>): Promise<JudgeEvent[]> {
  const all: JudgeEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

const ofType = <T extends JudgeEvent['type']>(events: readonly JudgeEvent[], type: T) =>
  events.filter((event): event is Extract<JudgeEvent, { type: T }> => event.type === type)

describe('a file', () => {
  const folder = freshFolder()
  const world = makeWorld()
  // A server at an address of one's own is free, unless the user says otherwise.
  const prices = join(folder, 'prices.yaml')
  writeFileSync(prices, 'gpt-4: { input: 30, output: 60 }\n')
  const settings = judgeSchema.parse({
    reward_model: [judgeName],
    prices,
    dataset_path: writeRows(folder),
    output_dir: join(folder, 'out'),
    concurrency: 4,
  })

  test('is planned without asking', async () => {
    const before = server.served.length
    const [planned] = ofType(await collect(judgeFile({ ...settings, dry_run: true }, world)), 'judging-planned')
    expect(planned.plans).toEqual([expect.objectContaining({ requests: 12, cached: 0 })])
    expect(planned.plans[0].cost).toBeGreaterThan(0)
    expect(server.served.length).toBe(before)
  })

  test('is judged once: every step counted, every request paid, the second run asks nothing', async () => {
    const before = server.served.length
    const [end] = ofType(await collect(judgeFile(settings, world)), 'judging-end')
    // Labels −1, 0, 1, 2 three times each: 3 + 1 + 2 + 3 of 3 steps scored.
    expect(end.steps).toEqual({ scored: 27, abstained: 9, failed: 0 })
    expect(server.served.length - before).toBe(12)
    const paid = server.served
      .slice(before)
      .reduce((sum, { promptTokens: p, completionTokens: c }) => sum + 30 * p + 60 * c, 0)
    expect(end.spent).toBeCloseTo(paid / 1e6, 9)
    const [begin] = ofType(await collect(judgeFile(settings, world)), 'judging-begin')
    expect(begin.known).toBe(12)
    expect(server.served.length - before).toBe(12)
    expect(readFileSync(join(folder, 'out', 'LLM_USAGE.md'), 'utf8')).toMatch(
      /\| judge \| openai:gpt-4@.* \| solution@1 \| 12 \| 0 \| 0 \|/,
    )
  })

  test('is judged from the cache in another folder, for nothing', async () => {
    const before = server.served.length
    const events = await collect(judgeFile({ ...settings, output_dir: join(folder, 'other') }, world))
    expect(ofType(events, 'judgement-made').at(-1)).toMatchObject({ calls: 0, cached: 12, spent: 0 })
    expect(server.served.length).toBe(before)
  })

  test('measures the judge: a perfect one has F1 100', async () => {
    const events = evalJudge(settings, world)
    let next = await events.next()
    while (!next.done) next = await events.next()
    expect(next.value?.report.firstErrors?.f1.value).toBe(1)
    expect(next.value?.text).toContain('| with an error | 9 | 9 |')
  })

  test('a calibration that was fitted on one file turns the scores of another into chances', async () => {
    const fitted = evalJudge({ ...settings, fit_calibration: 'platt' }, world)
    while (!(await fitted.next()).done);
    const calibration = join(folder, 'out', 'calibration.json')
    const other = { ...settings, output_dir: join(folder, 'calibrated'), calibration }
    const made = ofType(await collect(judgeFile(other, world)), 'judgement-made')
    const scores = made.flatMap(({ judgement }) =>
      judgement.steps.flatMap((step) => (step.state === 'scored' ? step.score : [])),
    )
    // 18 right and 9 wrong steps, all told apart: Platt's targets are (18 + 1) / (18 + 2) and 1 / (9 + 2).
    expect(new Set(scores.map((score) => score.toFixed(2)))).toEqual(new Set(['0.95', '0.09']))
    writeFileSync(calibration, '{"kind": "magic"}')
    await expect(collect(judgeFile(other, world))).rejects.toThrow(
      /calibration.json.*a calibration that eval has fitted/,
    )
  })

  test('no byte that was written holds the key', () => {
    for (const name of [
      'judgements.jsonl',
      'summary.json',
      'report.json',
      'report.md',
      'LLM_USAGE.md',
      'llm_usage.jsonl',
    ]) {
      expect(readFileSync(join(folder, 'out', name), 'utf8')).not.toContain(KEY)
    }
    const ledger = readFileSync(join(world.environment['STEPDPO_CACHE'] ?? '', 'judge', 'ledger.jsonl'), 'utf8')
    expect(ledger).not.toContain(KEY)
    expect(ledger.length).toBeGreaterThan(1000)
  })

  test('a cap is kept; what it did not allow is failed, not scored, and judged when there is money', async () => {
    const poor = makeWorld()
    const capped = { ...settings, output_dir: join(folder, 'capped') }
    const plan = ofType(await collect(judgeFile({ ...capped, dry_run: true }, poor)), 'judging-planned')[0].plans[0]
    const most = (plan.cost ?? 0) / 12
    const [end] = ofType(
      await collect(judgeFile({ ...capped, max_cost: most * 1.5, concurrency: 1 }, poor)),
      'judging-end',
    )
    expect(end.spent).toBeLessThanOrEqual(most * 1.5)
    expect(end.failures).toHaveProperty('budget')
    expect(end.steps.scored + end.steps.abstained + end.steps.failed).toBe(36)
    const [rest] = ofType(await collect(judgeFile(capped, poor)), 'judging-end')
    expect(rest.steps).toEqual({ scored: 27, abstained: 9, failed: 0 })
  })
})

describe('StepwiseRewardModel', () => {
  test('scores the steps of a generation, as the original README says', async () => {
    const rewarder = new StepwiseRewardModel({ modelName: judgeName }, makeWorld())
    const output = await rewarder.evaluate('What is 2 + 2?', 'Two and two.\nThat is wrong.\nFour.')
    expect(output).toMatchObject({
      score: 0,
      aggregation: 'product',
      coverage: 2 / 3,
      steps: [
        { text: 'Two and two.', state: 'scored', score: 1, label: 'correct', why: 'seen 1' },
        { text: 'That is wrong.', state: 'scored', score: 0, label: 'incorrect', why: 'seen 2' },
        { text: 'Four.', state: 'abstained' },
      ],
      usage: { calls: 1, cached: 0 },
    })
    expect(`Stepwise Score: ${output}`).toBe('Stepwise Score: 0')
    const again = await rewarder.evaluate('What is 2 + 2?', 'Two and two.\nThat is wrong.\nFour.')
    expect(again.usage).toMatchObject({ calls: 0, cached: 1, cost: 0 })
    await rewarder.close()
  })

  test('many at once, in their order; a mean by positions of one’s own', async () => {
    const rewarder = new StepwiseRewardModel(
      { modelName: 'arithmetic', aggregation: (position) => position },
      makeWorld(),
    )
    const evaluations = await rewarder.evaluateMany([
      { prompt: 'p', generation: ['1 + 1 = 2', '2 + 2 = 5'] },
      { prompt: 'p', generation: ['1 + 1 = 2', '2 + 2 = 4'] },
      { prompt: 'p', generation: ['nothing to check'] },
    ])
    // Weights 1 and 2: (1 · 1 + 2 · 0) / 3.
    expect(evaluations.map(({ score }) => score)).toEqual([1 / 3, 1, null])
    await rewarder.close()
  })

  test('a missing key is named before anything is asked', async () => {
    const rewarder = new StepwiseRewardModel(
      { modelName: 'gpt-4' },
      { ...makeWorld(), environment: { STEPDPO_CACHE: freshFolder() } },
    )
    await expect(rewarder.evaluate('p', 's')).rejects.toThrow(/OPENAI_API_KEY is not set/)
  })
})
