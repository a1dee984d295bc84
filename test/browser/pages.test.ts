/** @file The dashboard's pages in Chromium: a quick look at each, and with STEPDPO_STORM=1 all that they must reach. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { train } from '../../src/recipe/train.ts'
import { copyDashboard } from '../../src/server/copy.ts'
import { openRuns } from '../../src/server/runs.ts'
import type { Dashboard } from '../../src/server/serve.ts'
import { openSite } from '../../src/server/site.ts'
import { makeRuns, pairRuns, type RunsSite } from '../dashboard/runs.ts'
import { makeSite, settingsFor, testWorld } from '../run.ts'
import { isSlow } from '../slow.ts'
import { buildPages, goTo, hasChromium, launch, logIn, openTab, pagesOf, serveRuns, type Watched } from './browser.ts'
import { makeLoopRun } from './loop-run.ts'

const MAX_SCRIPT_BYTES = 350_000

describe.skipIf(!hasChromium)('the pages', () => {
  let browser: Browser
  let site: RunsSite
  let pages: string
  let dashboard: Dashboard
  let tab: Watched
  let run: string

  beforeAll(async () => {
    pages = await buildPages()
    site = await makeRuns()
    dashboard = await serveRuns(site.runs, pages)
    browser = await launch()
    tab = await openTab(browser, originOf(dashboard))
    await logIn(tab, dashboard)
    run = (await read(tab.page, '/api/runs')).runs[0].id
  }, 120_000)

  afterAll(async () => {
    await browser.close()
    await dashboard.close()
    for (const folder of [site.folder, dirname(pages)]) rmSync(folder, { recursive: true })
  })

  test('weigh at most 350 kB of JavaScript', () => {
    const files = readdirSync(pages, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
    const bytes = files.map((name) => statSync(join(pages, name)).size).reduce((sum, size) => sum + size, 0)
    expect(bytes).toBeGreaterThan(100_000)
    expect(bytes).toBeLessThanOrEqual(MAX_SCRIPT_BYTES)
  })

  test('show a trace by its link: steps with verdicts in words, the arithmetic of its score, both answers', async () => {
    const { page, wrong } = tab
    const { items } = await read(page, `/api/runs/${run}/traces?q=${encodeURIComponent('10 + 3 = 15')}`)
    await goTo(page, `#/run/${run}/traces/${items[0].id}`)
    await page.getByText('10 + 3 = 15: 10 + 3 is 13').waitFor()
    expect(await page.locator('.step').first().getAttribute('class')).toContain('wrong')
    const text = await page.locator('main').innerText()
    for (const part of ['incorrect', '0 × 1', 'Extracted', '16', 'True', '14', 'Solutions of this problem']) {
      expect(text).toContain(part)
    }
    expect(wrong).toEqual([])
  })

  test('find a trace by the search that / opens and Enter goes to it', async () => {
    const { page, wrong } = tab
    await goTo(page, `#/run/${run}/traces`)
    await page.keyboard.press('/')
    await page.keyboard.type('15 plus 8')
    await page.getByText(/^3 of /).waitFor()
    await page.locator('main h1').click()
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.getByText('15 + 8 = 25: 15 + 8 is 23').waitFor()
    expect(wrong).toEqual([])
  })

  test.runIf(isSlow)('label 20 steps by keys alone, and the pair that they contradict is not made again', async () => {
    const { page, wrong } = tab
    await goTo(page, `#/run/${run}/pairs?q=${encodeURIComponent('10 plus 3')}`)
    await page.getByText('10 + 3 = 15.').first().waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('l')
    for (let steps = 0; steps < 20; ) steps += await labelOne(page)
    await pairRuns(site)
    await goTo(page, '#/')
    await goTo(page, `#/run/${run}/pairs?q=${encodeURIComponent('10 plus 3')}`)
    await page.locator('main h1').waitFor()
    const rejected = await page.locator('.side.wrong').allInnerTexts()
    expect(rejected.filter((text) => text.includes('10 + 3 = 15'))).toEqual([])
    await goTo(page, `#/run/${run}/judges`)
    await page.getByText('Agreement with people').waitFor()
    expect(await page.locator('main').innerText()).toContain('labelled without seeing the judge')
    expect(wrong).toEqual([])
  })

  test.runIf(isSlow)('show nothing of the judge while a person labels, until they have answered', async () => {
    const { page } = tab
    const asked: string[] = []
    page.on('request', (request) => asked.push(request.url()))
    await goTo(page, `#/run/${run}/label`)
    await page.locator('.sheet').waitFor()
    expect(asked.filter((url) => url.includes('/traces'))).toEqual([])
    expect(await page.locator('.step-why').count()).toBe(0)
    await page.keyboard.press('3')
    await page.keyboard.press('Enter')
    await page.getByText('Saved.').waitFor()
    expect(await page.locator('.step-why').count()).toBeGreaterThan(0)
  })
})

/** Calls every step right, but of 10 + 3 = 15 the next one wrong: the judge says the contrary. Gives the steps rated. */
async function labelOne(page: Page): Promise<number> {
  const before = await page.locator('.progress [role=status]').innerText()
  await page.locator('.sheet').waitFor()
  const steps = await page.locator('.step-text').allInnerTexts()
  const isChanged = steps[0]?.includes('10 + 3 = 15') ?? false
  for (const key of isChanged ? ['1', '3'] : steps.map(() => '1')) await page.keyboard.press(key)
  await page.keyboard.press('Enter')
  await page.getByText('Saved.').waitFor()
  const after = await page.locator('.progress [role=status]').innerText()
  expect(after).not.toBe(before)
  await page.keyboard.press('Enter')
  await page.getByText('Saved.').waitFor({ state: 'detached' })
  return isChanged ? 2 : steps.length
}

describe.runIf(isSlow && hasChromium)('all pages of a whole run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-browser-'))
  let browser: Browser
  let pages: string
  let dashboard: Dashboard

  beforeAll(async () => {
    await makeLoopRun(folder, 'whole')
    await makeLoopRun(folder, 'smaller', 8)
    pages = await buildPages()
    dashboard = await serveRuns(join(folder, 'runs'), pages)
    browser = await launch()
  }, 600_000)

  afterAll(async () => {
    await browser?.close()
    await dashboard?.close()
    for (const each of [folder, dirname(pages)]) rmSync(each, { recursive: true })
  })

  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [1280, 390]) {
      test(`have no serious fault of access and no error, ${scheme} at ${width} px`, async () => {
        const tab = await openTab(browser, originOf(dashboard), { scheme, width })
        await logIn(tab, dashboard)
        for (const [name, link] of Object.entries(await linksOf(tab.page))) {
          await goTo(tab.page, link)
          await tab.page.waitForTimeout(150)
          expect({ name, faults: await faultsOf(tab.page) }).toEqual({ name, faults: [] })
          const over = await tab.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
          expect({ name, over: Math.max(0, over) }).toEqual({ name, over: 0 })
        }
        expect(tab.wrong).toEqual([])
        await tab.context.close()
      })
    }
  }

  test('open from a copy without a server', async () => {
    const copy = join(folder, 'copy')
    const runs = openRuns(join(folder, 'runs'), { who: 'ada', now: () => new Date() })
    await copyDashboard(copy, runs, { who: 'ada', version: '1', folder, isStatic: true }, openSite(pages))
    const index = pathToFileURL(join(copy, 'index.html')).href
    const tab = await openTab(browser, pathToFileURL(copy).href)
    await tab.page.goto(index)
    await tab.page.locator('tbody a').first().waitFor()
    const live = await openTab(browser, originOf(dashboard))
    await logIn(live, dashboard)
    for (const [name, link] of Object.entries(await linksOf(live.page))) {
      await goTo(tab.page, link)
      await tab.page.waitForTimeout(100)
      expect({ name, failed: await tab.page.locator('.notice.bad').allInnerTexts() }).toEqual({ name, failed: [] })
    }
    expect(tab.wrong).toEqual([])
    await tab.context.close()
    await live.context.close()
  })

  test('move while a run trains', async () => {
    const site = makeSite(30)
    const runs = join(site.folder, 'runs')
    const training = trainSlowly(settingsFor(site, 'runs/live', { num_train_epochs: 2, eval_strategy: 'no' }), site)
    await training.next()
    const live = await serveRuns(runs, pages)
    const tab = await openTab(browser, originOf(live))
    await logIn(tab, live)
    const { id } = (await read(tab.page, '/api/runs')).runs[0]
    await goTo(tab.page, `#/run/${id}`)
    const chart = tab.page.getByRole('img', { name: /^loss\./ })
    const seen = new Set<string>()
    for await (const _ of training) seen.add((await chart.getAttribute('aria-label').catch(() => null)) ?? '')
    expect(seen.size).toBeGreaterThan(3)
    await tab.page.getByText('finished').first().waitFor()
    expect(tab.wrong).toEqual([])
    await tab.context.close()
    await live.close()
    rmSync(site.folder, { recursive: true })
  })

  /** Updates with a rest between them, in which the page is looked at. */
  async function* trainSlowly(settings: ReturnType<typeof settingsFor>, site: ReturnType<typeof makeSite>) {
    for await (const event of train(settings, testWorld(site))) {
      if (event.type !== 'update-end') continue
      await new Promise((resolve) => setTimeout(resolve, 500))
      yield event.update
    }
  }

  async function linksOf(page: Page): Promise<Readonly<Record<string, string>>> {
    const { runs } = await read(page, '/api/runs')
    const run = runs.find(({ name }: { name: string }) => name === 'whole').id
    const trace = (await read(page, `/api/runs/${run}/traces?verdict=i`)).items[0]
    const all = pagesOf(run, trace.id, trace.problem)
    return { ...all, Compare: `#/compare?runs=${runs.map(({ id }: { id: string }) => id).join(',')}` }
  }
})

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe-core calls serious or critical. */
async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const found: { id: string; impact: string; nodes: { html: string }[] }[] = await page.evaluate(
    'axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations)',
  )
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 200)}`)
}

function originOf({ link }: Dashboard): string {
  return new URL(link).origin
}

/** A reply of the server, as the page gets it. */
async function read(page: Page, path: string) {
  return page.evaluate(async (url) => (await fetch(url)).json(), path)
}
