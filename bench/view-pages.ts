/** @file How long a person waits before the pages over 100,000 traces: from the act to the frame that shows its outcome. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { launch, openTab } from '../test/browser/browser.ts'
import { type Server, startServer, timed, writeTraces } from './view-site.ts'

const ROUNDS = 7

/** As they stand in the address of the list. */
const filters: Readonly<Record<string, string>> = {
  verdict: '?verdict=i',
  'score range, sorted': '?min_score=0.1&max_score=0.4&sort=score&order=down',
  'wrong answers': '?answer=wrong',
  // Not in all: the count tells that the list has changed.
  'text, found often': '?q=6%20litres',
  'text, found nowhere': '?q=no%20such%20text',
}

/** Changes the address and waits for the frame after the one that has another count of what was found. */
function filterTime(page: Page, hash: string): Promise<number> {
  return page.evaluate(async (to) => {
    const said = () => document.querySelector('.title [role=status]')?.textContent ?? ''
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve))
    const before = said()
    const from = performance.now()
    location.hash = to
    const isThere = () => {
      const row = document.querySelector('.trace-row, .empty')
      return said() !== before && / of /.test(said()) && row !== null && row.textContent !== '…'
    }
    while (!isThere()) await frame()
    await frame()
    return performance.now() - from
  }, hash)
}

/** The frames of a second and a half of scrolling through the whole list; the longest wait between two of them. */
function longestFrame(page: Page): Promise<number> {
  return page.evaluate(async () => {
    const box = document.querySelector('.virtual')
    if (box === null) throw new Error('there is no list')
    let longest = 0
    let last = await new Promise<number>((resolve) => requestAnimationFrame(resolve))
    for (let at = 0; at < 90; at++) {
      box.scrollTop = (box.scrollHeight * at) / 90
      const now = await new Promise<number>((resolve) => requestAnimationFrame(resolve))
      longest = Math.max(longest, now - last)
      last = now
    }
    return longest
  })
}

function print(name: string, times: number[]): void {
  times.sort((a, b) => a - b)
  const [middle = 0, worst = 0] = [times[times.length >> 1], times.at(-1)]
  console.log(
    `${name.padEnd(24)}${middle.toFixed(0).padStart(4)} ms   worst ${worst.toFixed(0).padStart(4)} ms   in Chromium`,
  )
}

async function measurePages(server: Server, run: string): Promise<void> {
  const browser = await launch()
  try {
    const views: number[] = []
    const list = `#/run/${run}/traces`
    for (let round = 0; round < ROUNDS; round++) {
      const { page, context } = await openTab(browser, server.origin)
      await page.goto(server.link)
      await page.locator('h1').waitFor()
      await page.goto('about:blank')
      const from = performance.now()
      await page.goto(`${server.origin}/${list}`)
      await page.locator('a.trace-row').nth(8).waitFor()
      views.push(performance.now() - from)
      await context.close()
    }
    print('first view of the list', views)
    const { page, context } = await openTab(browser, server.origin)
    // The compiler writes calls of it into functions that are sent to the page.
    await context.addInitScript({ content: 'globalThis.__name = (made) => made' })
    await page.goto(server.link)
    await page.locator('h1').waitFor()
    await page.goto(`${server.origin}/${list}`)
    await page.locator('a.trace-row').nth(8).waitFor()
    for (const [name, query] of Object.entries(filters)) {
      const times: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        times.push(await filterTime(page, list + query))
        await filterTime(page, list)
      }
      print(name, times)
    }
    print('longest frame, scrolling', [await longestFrame(page), await longestFrame(page), await longestFrame(page)])
  } finally {
    await browser.close()
  }
}

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-bench-pages-'))
const run = join(folder, 'runs', 'large')
mkdirSync(run, { recursive: true })
writeTraces(run)
const server = await startServer(join(folder, 'runs'))
try {
  const { runs } = JSON.parse(JSON.stringify((await timed(server, '/api/runs')).reply))
  const base = `/api/runs/${runs[0].id}/traces?limit=1`
  while ((await timed(server, base)).reply['isWhole'] !== true) await new Promise((resolve) => setTimeout(resolve, 100))
  await measurePages(server, runs[0].id)
} finally {
  server.process.kill()
  rmSync(folder, { recursive: true })
}
