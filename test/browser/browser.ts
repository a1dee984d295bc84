/** @file The built pages in a real Chromium, with all that must never happen in them counted. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { type Dashboard, serveDashboard } from '../../src/server/serve.ts'

const CHROMIUM = process.env['STEPDPO_CHROMIUM'] ?? '/usr/bin/chromium'
export const hasChromium = existsSync(CHROMIUM)

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Builds the pages into a folder of their own. */
export async function buildPages(): Promise<string> {
  const outDir = join(mkdtempSync(join(tmpdir(), 'stepdpo-pages-')), 'ui')
  const args = ['build', '--config', 'web/vite.config.ts', '--logLevel', 'error', '--outDir', outDir, '--emptyOutDir']
  // By its command: under NODE_ENV=test the build is another one.
  await promisify(execFile)(join(ROOT, 'node_modules/.bin/vite'), args, {
    cwd: ROOT,
    env: { ...process.env, NODE_ENV: 'production' },
  })
  return outDir
}

export function serveRuns(runs: string, site: string): Promise<Dashboard> {
  return serveDashboard({
    runs,
    site,
    host: '127.0.0.1',
    port: 0,
    morePorts: 0,
    who: 'ada',
    version: '1',
    now: () => new Date(),
  })
}

export function launch(): Promise<Browser> {
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run']
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync']
  return chromium.launch({ executablePath: CHROMIUM, args: [...args, ...quiet] })
}

export interface Watched {
  readonly context: BrowserContext
  readonly page: Page
  /** Errors of console and page, violations of the policy, requests elsewhere, dialogs, code that ran: all empty. */
  readonly wrong: string[]
}

export interface Look {
  readonly scheme?: 'light' | 'dark'
  readonly width?: number
}

/** A tab of its own. `origin` is the only place that it may ask. */
export async function openTab(
  browser: Browser,
  origin: string,
  { scheme = 'light', width = 1280 }: Look = {},
): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width, height: 860 }, colorScheme: scheme })
  const page = await context.newPage()
  const wrong: string[] = []
  await context.exposeFunction('__told', (what: string) => wrong.push(what))
  await context.addInitScript({
    content: `
      window.__hit = () => window.__told('code ran')
      for (const name of ['alert', 'confirm', 'prompt', 'print', 'open']) window[name] = () => window.__told(name + ' was called')
      addEventListener('securitypolicyviolation', (event) => window.__told('policy: ' + event.violatedDirective + ' ' + event.blockedURI))
    `,
  })
  page.on(
    'console',
    (message) => message.type() === 'error' && wrong.push(`console: ${message.text()} ${message.location().url}`),
  )
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`))
  page.on('dialog', (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith('data:')) wrong.push(`request: ${request.url()}`)
  })
  return { context, page, wrong }
}

/** Opens the link that the terminal shows. */
export async function logIn({ page }: Watched, dashboard: Dashboard): Promise<void> {
  await page.goto(dashboard.link)
  await page.locator('h1').waitFor()
}

/** Goes to a page of the dashboard and waits until its data are there. */
export async function goTo(page: Page, link: string): Promise<void> {
  await page.evaluate((hash) => {
    location.hash = hash
  }, link)
  await page.waitForFunction(
    () => document.querySelector('main h1') !== null || document.querySelector('.empty') !== null,
  )
  await page.waitForFunction(() => !document.body.innerText.includes('Reading …'))
}

/** The pages of a run, by name. */
export function pagesOf(run: string, trace: string, problem: string): Readonly<Record<string, string>> {
  return {
    Runs: '#/',
    Run: `#/run/${run}`,
    Settings: `#/run/${run}?tab=settings`,
    Environment: `#/run/${run}?tab=environment`,
    Usage: `#/run/${run}?tab=usage`,
    Checkpoints: `#/run/${run}?tab=checkpoints`,
    Log: `#/run/${run}?tab=log`,
    Traces: `#/run/${run}/traces`,
    Trace: `#/run/${run}/traces/${trace}`,
    Problems: `#/run/${run}/problems`,
    Tree: `#/run/${run}/problems/${problem}`,
    Pairs: `#/run/${run}/pairs`,
    Label: `#/run/${run}/label`,
    Judges: `#/run/${run}/judges`,
    Eval: `#/run/${run}/eval`,
  }
}
