/** @file `stepdpo view`: the dashboard over a folder of runs. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { UsageError } from '../base/errors.ts'
import { packageVersion } from '../recipe/version.ts'
import { type ViewSettings, viewSchema } from '../recipe/view-settings.ts'
import { addFlags } from './flags.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { stopOnSignals } from './signals.ts'

const PORT = 7373
const MORE_PORTS = 20
/** How long a browser may take to read the page that leads to ours. */
const OPENING_MS = 15_000

export function addViewCommand(program: Command): void {
  const command = program
    .command('view')
    .description('the dashboard: look at runs, traces and pairs in a browser, label steps')
  addFlags(command, viewSchema).action(async () => {
    const settings = parseSettings(viewSchema, command.args, readConfig(command.opts()['config']))
    if (settings.export === undefined) await view(settings)
    else await writeCopy(settings, settings.export)
  })
}

/** As it stands in labels; some systems know no name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return 'somebody'
  }
}

async function writeCopy(settings: ViewSettings, folder: string): Promise<void> {
  const { copyDashboard } = await import('../server/copy.ts')
  const { openSite, siteFolder } = await import('../server/site.ts')
  const { openRuns } = await import('../server/runs.ts')
  const { resolveRoot } = await import('../server/run-files.ts')
  const who = userName()
  const runs = openRuns(resolveRoot(settings.runs), { who, now: () => new Date() })
  const session = { who, version: packageVersion(), folder: settings.runs, isStatic: true }
  await copyDashboard(folder, runs, session, openSite(siteFolder()))
  process.stdout.write(`copy     ${join(folder, 'index.html')}\n`)
}

async function view(settings: ViewSettings): Promise<void> {
  const { isLoopback, serveDashboard } = await import('../server/serve.ts')
  const { siteFolder } = await import('../server/site.ts')
  const { host, port, runs } = settings
  if (!isLoopback(host)) {
    if (!settings.allow_remote) {
      throw new UsageError(`--host ${host}: others could reach the dashboard there; say --allow_remote if they may`)
    }
    process.stderr.write('warning: the dashboard is open to other machines, and what it says is not encrypted\n')
  }
  const dashboard = await serveDashboard({
    runs,
    site: siteFolder(),
    host,
    port: port ?? PORT,
    morePorts: port === undefined ? MORE_PORTS : 0,
    who: userName(),
    version: packageVersion(),
    now: () => new Date(),
  })
  process.stdout.write(`dashboard ${dashboard.link}        Ctrl-C stops it\n`)
  const signals = stopOnSignals(process, () => {})
  const close = settings.open && process.stdout.isTTY ? openBrowser(dashboard.link) : () => {}
  await new Promise((resolve) => signals.signal.addEventListener('abort', resolve, { once: true }))
  close()
  await dashboard.close()
  signals.release()
}

/**
 * Opens the link by a page that leads to it, which only this user can read: arguments of a process can be read by all
 * users. What cannot be opened is no error, as the link stands in the terminal.
 */
function openBrowser(link: string): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-view-'))
  const page = join(folder, 'open.html')
  writeFileSync(page, `<!doctype html><meta http-equiv="refresh" content="0; url=${link}">`, { mode: 0o600 })
  const openers: Partial<Record<NodeJS.Platform, readonly string[]>> = {
    darwin: ['open'],
    win32: ['cmd', '/c', 'start', ''],
  }
  const [command, ...args] = openers[process.platform] ?? ['xdg-open']
  spawn(command, [...args, page], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref()
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const timer = setTimeout(remove, OPENING_MS).unref()
  return () => {
    clearTimeout(timer)
    remove()
  }
}
