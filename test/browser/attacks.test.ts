/**
 * @file What strangers may write, in every field that our pages show, in Chromium: nothing runs, nothing is asked of
 * others, nothing breaks, and texts are shown as they were written.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/base/hash.ts'
import type { Dashboard } from '../../src/server/serve.ts'
import { linesOf, rolloutOf } from '../dashboard/runs.ts'
import { isSlow } from '../slow.ts'
import { ATTACKS, isShownAsWritten } from './attacks.ts'
import { buildPages, goTo, hasChromium, launch, logIn, openTab, serveRuns, type Watched } from './browser.ts'

const RUN = 'attacked'
const REPORTS = 'reported'

test('there are 500 attacks and more, each different from all others', () => {
  expect(ATTACKS.length).toBeGreaterThanOrEqual(500)
  expect(new Set(ATTACKS).size).toBe(ATTACKS.length)
  expect(ATTACKS.filter(isShownAsWritten).length).toBeGreaterThan(100)
})

/** Others than the attack, so that one row has several. */
const after = (index: number, by: number): string => ATTACKS[(index + by) % ATTACKS.length] ?? ''

function writeTraces(run: string): void {
  const rollouts = ATTACKS.map((attack, index) => ({
    ...rolloutOf(attack, [attack, after(index, 1), after(index, 2)], index, 1),
    maker: after(index, 3),
    answer: after(index, 4),
    final_answer: attack,
  }))
  const judgements = rollouts.map(({ problem, steps }, index) => ({
    id: sha256(JSON.stringify([problem, steps])),
    judge: after(index % 5, 5),
    problem,
    steps: steps.map((text, step) => ({
      text,
      state: 'scored',
      score: step === 0 ? 0 : 1,
      label: step === 0 ? 'incorrect' : 'correct',
      why: after(index, 6),
      members: [{ judge: after(index, 7), state: 'abstained', why: after(index, 8) }],
    })),
    score: 0,
    aggregation: 'product',
    coverage: 1,
  }))
  const from = (index: number) => ({ rollout: rollouts[index]?.id, from: 'rollout', maker: after(index, 3) })
  const pairs = ATTACKS.map((attack, index) => ({
    id: sha256(`${index}`),
    prompt: attack,
    prefix: after(index, 9),
    chosen: after(index, 1),
    rejected: after(index, 2),
    chosen_terminal: false,
    rejected_terminal: false,
    step: 1,
    chosen_score: 1,
    rejected_score: 0,
    answer: after(index, 4),
    strategy: index % 2 === 0 ? attack.slice(0, 40) : 'step_dpo',
    provenance: {
      judge: after(index, 5),
      located_by: 'judge',
      chosen: from(index),
      rejected: from(index),
      why: after(index, 6),
    },
  }))
  mkdirSync(join(run, 'round-1', 'judge'), { recursive: true })
  writeFileSync(join(run, 'round-1', 'rollouts.jsonl'), linesOf(rollouts))
  writeFileSync(join(run, 'round-1', 'judge', 'judgements.jsonl'), linesOf(judgements))
  writeFileSync(join(run, 'round-1', 'pairs.jsonl'), linesOf(pairs))
}

function writeTraining(run: string): void {
  const time = '2026-01-02T03:04:05.000Z'
  const [first = '', second = ''] = ATTACKS
  const begin = { run: first, folder: first, model: second, adapter: first, data: second, device: first }
  const metrics = Object.fromEntries(ATTACKS.map((attack, index) => [attack, index]))
  const events = [
    { time, type: 'run-begin', ...begin },
    ...ATTACKS.slice(0, 150).map((message) => ({ time, type: 'warning', message })),
    ...ATTACKS.map((name, update) => ({ time, type: 'alarm-raised', update, name, text: name, remedy: name })),
  ]
  mkdirSync(join(run, 'stepdpo'), { recursive: true })
  writeFileSync(join(run, 'stepdpo', 'events.jsonl'), linesOf(events))
  const rows = [1, 2].map((update) => ({ kind: 'train', update, loss: 0.5, ...metrics }))
  writeFileSync(join(run, 'stepdpo', 'metrics.jsonl'), linesOf(rows))
  writeFileSync(
    join(run, 'training_args.json'),
    JSON.stringify(Object.fromEntries(ATTACKS.map((each) => [each, each]))),
  )
  writeFileSync(join(run, 'all_results.json'), JSON.stringify(metrics))
}

/** A run of evaluations: their reports, answers that flipped, labels of people, what judges cost. */
function writeReports(run: string): void {
  const folder = join(run, 'evaluation')
  const answers = (isRight: boolean) =>
    ATTACKS.map((attack, index) => ({
      ...rolloutOf(attack, [attack, after(index, 1)], index, 1),
      id: sha256(`${index} ${isRight}`),
      final_answer: attack,
      final_answer_correct: isRight,
    }))
  const estimate = { value: 0.5, low: 0.4, high: 0.6 }
  const named = ATTACKS.map((attack, index) => ({
    source: index % 2 === 0 ? 'greedy' : attack,
    name: attack,
    unit: after(index, 1),
    judge: after(index, 2),
    aggregation: after(index, 3),
  }))
  const model = { figures: named.map((each) => ({ ...each, problems: 10, mean: estimate })) }
  const differences = named.map((each) => ({ ...each, difference: estimate, isSignificant: true }))
  const comparison = { answers: { bothRight: 1, bothWrong: 2, gained: ATTACKS, lost: [], p: 0.01 }, differences }
  const report = {
    data: after(0, 0),
    model: after(1, 0),
    base: after(2, 0),
    report: { model, base: model, comparison },
  }
  for (const [name, isRight] of [['base', false] as const, ['model', true] as const]) {
    mkdirSync(join(folder, name), { recursive: true })
    writeFileSync(join(folder, name, 'greedy.jsonl'), linesOf(answers(isRight)))
  }
  writeFileSync(join(folder, 'report.json'), JSON.stringify(report))
  for (const [index, attack] of ATTACKS.entries()) {
    const firstErrors = { rows: 5, erroneousAccuracy: estimate, correctAccuracy: estimate, f1: estimate }
    const measured = { type: 'evaluation', judge: attack, data: after(index, 1), report: { firstErrors } }
    mkdirSync(join(run, 'judges', `${index}`), { recursive: true })
    writeFileSync(join(run, 'judges', `${index}`, 'report.json'), JSON.stringify(measured))
  }
  const labels = answers(true).map(({ id, problem, steps }, index) => ({
    kind: 'label',
    id: after(index, 4),
    who: after(index, 5),
    when: index % 2 === 0 ? '2026-01-02T03:04:05.000Z' : after(index, 6),
    previous: null,
    run: after(index, 7),
    rollout: id,
    problem,
    steps,
    ratings: [1, -1],
    flagged: true,
    bad_problem: true,
    own_step: { step: 1, text: after(index, 8) },
    judge_shown: false,
  }))
  writeFileSync(join(run, 'labels.jsonl'), linesOf(labels))
  const usage = ATTACKS.map((attack, index) => ({
    purpose: attack,
    model: after(index, 1),
    promptVersion: after(index, 2),
    ...{ calls: 1, failures: 0, unknown: 0, promptTokens: 1, completionTokens: 1, cost: 0.1 },
  }))
  writeFileSync(join(run, 'llm_usage.jsonl'), linesOf(usage))
}

/** Attacks that a file system takes as names. */
function writeNames(runs: string): void {
  for (const attack of ATTACKS) {
    if (/[/\0]/.test(attack) || Buffer.byteLength(attack) > 200 || /^\.*$/.test(attack)) continue
    mkdirSync(join(runs, attack, 'stepdpo'), { recursive: true })
    const begin = { time: '2026-01-02T03:04:05.000Z', type: 'run-begin', run: attack, model: attack }
    writeFileSync(join(runs, attack, 'stepdpo', 'events.jsonl'), linesOf([begin]))
  }
}

describe.runIf(isSlow && hasChromium)('attacks in every field', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-attacks-'))
  const runs = join(folder, 'runs')
  let browser: Browser
  let pages: string
  let dashboard: Dashboard
  let tab: Watched
  let run: string
  let path: string

  beforeAll(async () => {
    writeTraces(join(runs, RUN))
    writeTraining(join(runs, RUN))
    writeReports(join(runs, REPORTS))
    writeNames(runs)
    pages = await buildPages()
    dashboard = await serveRuns(runs, pages)
    browser = await launch()
    tab = await openTab(browser, new URL(dashboard.link).origin)
    await logIn(tab, dashboard)
    run = await idOf(RUN)
    path = `/api/runs/${run}`
  }, 600_000)

  afterAll(async () => {
    await browser?.close()
    await dashboard?.close()
    for (const each of [folder, dirname(pages)]) rmSync(each, { recursive: true })
  })

  /** When all its traces are read. */
  async function idOf(name: string): Promise<string> {
    const { runs } = await read(tab.page, '/api/runs')
    const { id } = runs.find((each: { name: string }) => each.name === name)
    while (!(await read(tab.page, `/api/runs/${id}/traces?limit=1`)).isWhole);
    return id
  }

  test('would be noticed if one of them worked', async () => {
    const control = await openTab(browser, new URL(dashboard.link).origin)
    await logIn(control, dashboard)
    await control.page.evaluate('__hit()')
    await control.page.evaluate(() => fetch('http://attacker.test/x').catch(() => null))
    for (const part of ['code ran', 'policy: connect-src', 'console: ']) {
      await expect.poll(() => control.wrong.join('\n'), { timeout: 20_000 }).toContain(part)
    }
    await control.context.close()
  })

  test('do nothing as names of runs', async () => {
    await goTo(tab.page, '#/')
    await tab.page.locator('tbody tr').nth(100).waitFor()
    expect(await tab.page.locator('main').textContent()).toContain('<svg onload=__hit()>')
    expect(tab.wrong).toEqual([])
  })

  test('do nothing as metrics, settings, results, alarms and lines of the log', async () => {
    for (const name of ['curves&show=all', 'settings', 'environment', 'usage', 'checkpoints', 'log']) {
      await goTo(tab.page, `#/run/${run}?tab=${name}`)
      await tab.page.waitForTimeout(500)
    }
    expect(tab.wrong).toEqual([])
  })

  test('do nothing as problem, step, reason, vote, maker and answer of a trace, and stand there as written', async () => {
    const rows: { id: string }[] = []
    for (let offset = 0; offset < ATTACKS.length; offset += 200) {
      rows.push(...(await read(tab.page, `${path}/traces?limit=200&offset=${offset}`)).items)
    }
    expect(rows.length).toBe(ATTACKS.length)
    let shown = 0
    for (const [index, { id }] of rows.entries()) {
      await goTo(tab.page, `#/run/${run}/traces/${id}`)
      await tab.page.locator('.steps').waitFor()
      const attack = ATTACKS[index] ?? ''
      if (!isShownAsWritten(attack)) continue
      expect(await tab.page.locator('.step-text').first().textContent()).toBe(attack)
      shown++
    }
    expect(shown).toBeGreaterThan(100)
    expect(tab.wrong).toEqual([])
  })

  test('are set as formulas where they are TeX between delimiters, and shown as written where they are not', async () => {
    const { page, wrong } = tab
    const open = async (attack: string) => {
      const { items } = await read(page, `${path}/traces?limit=200&q=${encodeURIComponent(attack)}`)
      const row = items.find(({ sample }: { sample: number }) => ATTACKS[sample] === attack)
      await goTo(page, `#/run/${run}/traces/${row.id}`)
      await page.locator('.steps').waitFor()
      return page.locator('.step-text').first()
    }
    const root = await open('$\\sqrt{\\sqrt{\\sqrt{x}}}$')
    expect(await root.locator('math msqrt').count()).toBe(3)
    for (const broken of ['$\\frac{1}$', '\\(\\undefined\\)', '$$\\newcommand{\\a}{\\a}\\a$$']) {
      const step = await open(broken)
      expect(await step.textContent()).toBe(broken)
      expect(await step.locator('math').count()).toBe(0)
    }
    const link = await open('$\\href{javascript:__hit()}{x}$')
    expect(await link.locator('a, [href]').count()).toBe(0)
    expect(wrong).toEqual([])
  })

  test('do nothing in lists, trees and pairs', async () => {
    for (const name of ['traces', 'problems']) {
      await goTo(tab.page, `#/run/${run}/${name}`)
      for (let top = 0; top < ATTACKS.length * 58; top += 1200) {
        await tab.page.locator('.virtual').evaluate((box, to) => box.scrollTo(0, to), top)
        await tab.page.waitForTimeout(40)
      }
    }
    const { items } = await read(tab.page, `${path}/problems?limit=200`)
    for (const { id } of items) await goTo(tab.page, `#/run/${run}/problems/${id}`)
    for (let offset = 0; offset < ATTACKS.length; offset += 20) {
      await goTo(tab.page, `#/run/${run}/pairs?offset=${offset}`)
      await tab.page.locator('.pair').first().waitFor()
    }
    for (const name of ['judges', 'eval', 'label']) await goTo(tab.page, `#/run/${run}/${name}`)
    expect(tab.wrong).toEqual([])
  })

  test('do nothing as figures of evaluations and judges, answers that flipped, words of people and costs', async () => {
    const reported = await idOf(REPORTS)
    const pages = ['eval', 'judges', 'label', 'problems', 'traces']
    for (const page of [...pages.map((name) => `/${name}`), '?tab=usage']) {
      await goTo(tab.page, `#/run/${reported}${page}`)
      await tab.page.waitForTimeout(500)
      const text = await tab.page.locator('main').textContent()
      if (['/eval', '/judges', '?tab=usage'].includes(page)) expect(text).toContain('<svg onload=__hit()>')
    }
    const { items } = await read(tab.page, `/api/runs/${reported}/traces?limit=200`)
    for (const { id } of items.slice(0, 60)) {
      await goTo(tab.page, `#/run/${reported}/traces/${id}`)
      await tab.page.locator('.steps').waitFor()
    }
    expect(tab.wrong).toEqual([])
  })

  test('do nothing as a step that a person wrote, typed and shown again', async () => {
    const { page, wrong } = tab
    await goTo(page, `#/run/${run}/label`)
    for (const attack of ATTACKS.filter(isShownAsWritten).slice(0, 10)) {
      await page.locator('.sheet').waitFor()
      await page.keyboard.press('w')
      await page.locator('#own-step').fill(attack)
      await page.keyboard.press('Control+Enter')
      expect(await page.locator('.own').textContent()).toContain(attack)
      await page.keyboard.press('s')
      await page.locator('.own').waitFor({ state: 'detached' })
    }
    expect(wrong).toEqual([])
  })

  test('do nothing as an address', async () => {
    // The list of all those names would be drawn again each time.
    const only = join(folder, 'only')
    mkdirSync(only)
    renameSync(join(runs, RUN), join(only, RUN))
    const calm = await serveRuns(only, pages)
    const other = await openTab(browser, new URL(calm.link).origin)
    await logIn(other, calm)
    const places = (attack: string): string[] => [
      `#/${attack}`,
      `#/run/${attack}`,
      `#/run/${run}/traces/${attack}`,
      `#/run/${run}?tab=${attack}`,
    ]
    // Each is there before the next one comes.
    await other.page.evaluate(async (hashes) => {
      for (const hash of hashes) {
        location.hash = hash
        await new Promise((resolve) => setTimeout(resolve))
        await new Promise((resolve) => setTimeout(resolve))
      }
    }, ATTACKS.flatMap(places))
    await goTo(
      other.page,
      `#/run/${run}/traces?q=${encodeURIComponent('<svg onload')}&verdict=${encodeURIComponent('<b>')}`,
    )
    // What is not there is answered with 404, which Chromium notes.
    expect(other.wrong.filter((what) => !what.includes('Failed to load resource'))).toEqual([])
    await other.context.close()
    await calm.close()
  })
})

async function read(page: Page, path: string) {
  return page.evaluate(async (url) => (await fetch(url)).json(), path)
}
