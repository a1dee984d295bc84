/** @file `npm run pictures`: the pictures of README and docs, from the run of `npm run demo` (build/demo) in Chromium. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { scoreSchema } from '../src/recipe/command-settings.ts'
import { scoreImplicitly } from '../src/recipe/implicit.ts'
import { buildPages, goTo, launch, logIn, openTab, serveRuns } from '../test/browser/browser.ts'

const RUNS = 'build/demo'
const OUT = 'docs/pictures'
const MAX_BYTES = 150_000

/** Whose problems are drawn as trees. */
const NAME = 'Hugo'

mkdirSync(OUT, { recursive: true })
await writeRewards(join(RUNS, 'run'))
const dashboard = await serveRuns(RUNS, await buildPages())
const browser = await launch()
for (const scheme of ['light', 'dark'] as const) {
  const tab = await openTab(browser, new URL(dashboard.link).origin, { scheme })
  await tab.page.setViewportSize({ width: 1120, height: 700 })
  await logIn(tab, dashboard)
  for (const [name, link] of Object.entries(await linksOf(tab.page))) {
    await goTo(tab.page, link)
    await tab.page.waitForTimeout(300)
    const path = join(OUT, `${name}-${scheme}.png`)
    await tab.page.screenshot({ path })
    const { size } = statSync(path)
    console.log(`${path} ${Math.round(size / 1000)} kB`)
    if (size > MAX_BYTES) throw new Error(`${path}: expected at most ${MAX_BYTES} bytes, got ${size}`)
  }
}
await browser.close()
await dashboard.close()

/** What training did to the steps of the trees, as `stepdpo score --implicit` writes it. */
async function writeRewards(run: string): Promise<void> {
  const rollouts = readFileSync(join(run, 'round-1', 'rollouts.jsonl'), 'utf8').split('\n')
  const dataset_path = join(RUNS, 'drawn.jsonl')
  writeFileSync(dataset_path, rollouts.filter((line) => line.includes(NAME)).join('\n'))
  const settings = scoreSchema.parse({ base_model: run, reference_model: 'demo/model', dataset_path, implicit: true })
  const rows: string[] = []
  for await (const row of scoreImplicitly(settings)) rows.push(`${JSON.stringify(row)}\n`)
  writeFileSync(join(run, 'round-1', 'step-rewards.jsonl'), rows.join(''))
}

/** A wrong solution, and the problem with most solutions among the first. */
async function linksOf(page: Page): Promise<Readonly<Record<string, string>>> {
  const read = (path: string) => page.evaluate(async (url) => (await fetch(url)).json(), path)
  const [{ id: run }] = (await read('/api/runs')).runs
  let traces = await read(`/api/runs/${run}/traces?verdict=i&sort=steps&order=down`)
  while (!traces.isWhole) traces = await read(`/api/runs/${run}/traces?verdict=i&sort=steps&order=down`)
  const problems: { id: string; traces: number }[] = (await read(`/api/runs/${run}/problems?limit=200&q=${NAME}`)).items
  const most = problems.reduce((best, each) => (each.traces > best.traces ? each : best))
  return {
    run: `#/run/${run}`,
    trace: `#/run/${run}/traces/${traces.items[0].id}`,
    tree: `#/run/${run}/problems/${most.id}`,
    pairs: `#/run/${run}/pairs`,
    label: `#/run/${run}/label`,
    eval: `#/run/${run}/eval`,
  }
}
