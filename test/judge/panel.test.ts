/** Several judges of one file: what each says is kept, and how far they agree is told. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openJudgeView } from '../../src/cli/judge-lines.ts'
import type { JudgeEvent } from '../../src/data/judge-events.ts'
import { judgementSchema } from '../../src/data/judgement.ts'
import { evalJudge } from '../../src/recipe/eval-judge.ts'
import { judgeFile } from '../../src/recipe/judge.ts'
import { judgeSchema } from '../../src/recipe/judge-settings.ts'
import { folderMaker } from '../folders.ts'
import { labelSteps, seeQuestion } from './answers.ts'
import { startServer } from './server.ts'

const folder = folderMaker()()
/** `strict` finds every wrong step, `lax` only those that are very wrong. */
const server = await startServer({
  answer: (asked) => {
    const sign = asked.model === 'strict' ? /wrong/ : /very wrong/
    return labelSteps(seeQuestion(asked), (step) => (sign.test(step) ? 'incorrect' : 'correct'))
  },
})
afterAll(() => server.close())

const world = {
  now: () => new Date('2026-01-02T03:04:05Z'),
  seconds: () => 0,
  environment: { STEPDPO_CACHE: join(folder, 'cache') },
  signal: new AbortController().signal,
}
const names = ['strict', 'lax'].map((model) => `vllm:${model}@${server.url}/v1`)

/** Ten solutions of two steps; in four the second is wrong, in two of them very wrong. */
const rows = Array.from({ length: 10 }, (_, at) => {
  const second = at < 2 ? 'this is very wrong' : at < 4 ? 'this is wrong' : 'this is so'
  const label = at < 4 ? 1 : -1
  return { id: `r${at}`, problem: `P ${at}`, steps: ['it begins', second], final_answer_correct: label === -1, label }
})
const file = join(folder, 'rows.json')
writeFileSync(file, JSON.stringify(rows))

const settingsOf = (settings: object) =>
  judgeSchema.parse({ reward_model: names, dataset_path: file, output_dir: join(folder, 'out'), ...settings })

async function runJudge(settings: object = {}) {
  let said = ''
  const write = (text: string): void => {
    said += text
  }
  const view = openJudgeView({ write, columns: 200 }, { json: false, isLive: false })
  const events: JudgeEvent[] = []
  for await (const event of judgeFile(settingsOf(settings), world)) {
    events.push(event)
    view.show(event)
  }
  return { said, events }
}

const readJson = (...path: readonly string[]) => JSON.parse(readFileSync(join(folder, ...path), 'utf8'))
const readLines = (...path: readonly string[]) =>
  readFileSync(join(folder, ...path), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => judgementSchema.parse(JSON.parse(line)))

test('a judgement keeps what each judge said of each step', async () => {
  await runJudge()
  const judgements = readLines('out', 'judgements.jsonl')
  expect(judgements.length).toBe(10)
  const disputed = judgements.find(({ problem }) => problem === 'P 3')
  expect(disputed?.steps[1]).toMatchObject({
    state: 'scored',
    label: 'incorrect',
    score: 0.5,
    members: [
      { judge: expect.stringMatching(/^vllm:strict@/), state: 'scored', label: 'incorrect', score: 0, why: 'seen 2' },
      { judge: expect.stringMatching(/^vllm:lax@/), state: 'scored', label: 'correct', score: 1, why: 'seen 2' },
    ],
  })
})

test('the end of judging tells the share of equal labels, κ and the steps they rest on, also for what was judged before', async () => {
  const { said, events } = await runJudge()
  // 20 steps: strict finds 4 wrong, lax 2 of these. Observed .9; expected .8 · .9 + .2 · .1 = .74.
  const kappa = (0.9 - 0.74) / 0.26
  const { agreement } = readJson('out', 'summary.json')
  expect(agreement.map(({ statistic, steps, same }: (typeof agreement)[0]) => [statistic, steps, same])).toEqual([
    ['fleiss', 20, 0.9],
    ['cohen', 20, 0.9],
  ])
  expect(agreement[1].kappa).toBeCloseTo(kappa, 12)
  expect(events.at(-1)).toMatchObject({ type: 'judging-end', agreement })
  expect(said).toMatch(/^agreement of the 2 judges: the same label for 90\.0 % of 20 steps, Fleiss’ κ 0\.\d{3} \[/m)
  expect(said).toMatch(/^agreement of vllm:strict@.* and vllm:lax@.*: .* of 20 steps, Cohen’s κ 0\.615 \[/m)
})

test('judges who always say the same have no κ, which is said; one judge has no agreement', async () => {
  const same = await runJudge({
    limit: 3,
    output_dir: join(folder, 'same'),
    reward_model: [names[1], names[1]],
    few_shot: 'none',
  })
  expect(same.said).toContain('of 6 steps')
  const calm = join(folder, 'calm.json')
  writeFileSync(calm, JSON.stringify(rows.slice(4)))
  const { said } = await runJudge({ dataset_path: calm, output_dir: join(folder, 'calm') })
  expect(said).toContain('100.0 % of 12 steps; κ is not defined where all labels are the same')
  expect(readJson('calm', 'summary.json').agreement[1]).toMatchObject({ same: 1, kappa: null })
  const one = await runJudge({ reward_model: [names[0]], output_dir: join(folder, 'one') })
  expect(one.said).not.toContain('agreement')
  expect(readLines('one', 'judgements.jsonl')[0].steps[0].members).toBeUndefined()
})

test('eval has it in report.json, report.md and its table', async () => {
  const events = evalJudge(settingsOf({}), world)
  let next = await events.next()
  while (!next.done) next = await events.next()
  expect(next.value?.text).toMatch(/^- Agreement of the 2 judges: the same label for 90\.0 % of 20 steps/m)
  expect(readJson('out', 'report.json').report.panel).toEqual(readJson('out', 'summary.json').agreement)
  expect(readFileSync(join(folder, 'out', 'report.md'), 'utf8')).toContain('Cohen’s κ 0.615')
})

test('another aggregation of what was judged before asks nobody, and the mean says which it is', async () => {
  const before = server.served.length
  expect((await runJudge()).said).toMatch(/^mean score 0\.7\d* \(product\)/m)
  const { said } = await runJudge({ aggregation: 'max' })
  expect(said).toMatch(/^mean score 1(?:\.0+)? \(max\)/m)
  expect(readJson('out', 'summary.json')).toMatchObject({ aggregation: 'max', score: 1 })
  expect(readLines('out', 'judgements.jsonl').at(-1)).toMatchObject({ aggregation: 'max', score: 1 })
  expect(server.served.length).toBe(before)
})
