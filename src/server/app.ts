/** @file The routes of the dashboard, as data/dashboard.ts lists them. What they reply is made in the other files. */
import { type Context, Hono } from 'hono'
import { setCookie } from 'hono/cookie'
import type { z } from 'zod'
import { UserError } from '../base/errors.ts'
import type { Session } from '../data/dashboard.ts'
import { parseRow } from '../data/schema.ts'
import { evaluationsReply } from './evaluation-view.ts'
import { type App, addHeaders, guardWrites, LOGIN, requireCookie } from './guard.ts'
import { judgesReply } from './judge-view.ts'
import { addLabel, listLabels, nextTask, skipTrace, undoLabel } from './label-view.ts'
import type { Live } from './live.ts'
import { listPairs, reviewPair } from './pair-view.ts'
import * as asked from './requests.ts'
import { seriesOf } from './run-log.ts'
import { compareRuns, runReply, summaryOf } from './run-view.ts'
import type { Run, Runs } from './runs.ts'
import type { Site } from './site.ts'
import type { Secret } from './token.ts'
import { listTraces, readTrace } from './trace-view.ts'
import { listProblems, readTree } from './tree-view.ts'

export interface AppParts {
  readonly runs: Runs
  readonly session: Session
  readonly live: Live
  readonly site: Site
  /** What the login link carries. */
  readonly token: Secret
  readonly cookie: Secret
  readonly cookieName: string
}

/** What of a request is wrong, or names nothing. */
class RequestError extends Error {
  readonly status: 400 | 404 | 503

  constructor(status: 400 | 404 | 503, message: string) {
    super(message)
    this.status = status
  }
}

export function makeApp(parts: AppParts): Hono<App> {
  const app = new Hono<App>()
  app.use(addHeaders, requireCookie(parts.cookieName, parts.cookie), guardWrites)
  app.onError((error, c) => {
    if (error instanceof RequestError) return c.json({ error: error.message }, error.status)
    if (error instanceof UserError) return c.json({ error: error.message }, 400)
    process.stderr.write(`${error.stack ?? error.message}\n`)
    return c.json({ error: 'the server failed: its terminal says why' }, 500)
  })
  app.notFound((c) => c.json({ error: 'there is no such page' }, 404))
  addLogin(app, parts)
  addRunRoutes(app, parts)
  addTraceRoutes(app, parts)
  addLabelRoutes(app, parts)
  addSite(app, parts.site)
  return app
}

type Ask = Context<App>

function queryOf<T>(c: Ask, schema: z.ZodType<T>): T {
  return checked(schema, c.req.query())
}

async function bodyOf<T>(c: Ask, schema: z.ZodType<T>): Promise<T> {
  const body: unknown = await c.req.json().catch(() => {
    throw new RequestError(400, 'expected JSON')
  })
  return checked(schema, body)
}

function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) throw new RequestError(400, parsed.bad)
  return parsed.row
}

function runOf(c: Ask, runs: Runs): Run {
  return there(runs.find(c.req.param('run') ?? ''), 'run')
}

function there<T>(found: T | undefined, what: string): T {
  if (found === undefined) throw new RequestError(404, `there is no such ${what}, or no longer`)
  return found
}

/**
 * The token becomes a cookie. A page that goes on by itself, not a redirect: a browser that came from elsewhere would not
 * send the cookie along on one.
 */
function addLogin(app: Hono<App>, { token, cookie, cookieName }: AppParts): void {
  app.get(LOGIN, (c) => {
    const given = asked.loginQuery.safeParse(c.req.query()).data?.token ?? ''
    if (!token.equals(given)) return c.json({ error: 'this link is not of this start of `stepdpo view`' }, 401)
    setCookie(c, cookieName, cookie.text, { httpOnly: true, sameSite: 'Strict', path: '/' })
    return c.html('<!doctype html><meta http-equiv="refresh" content="0; url=/"><title>stepdpo</title>')
  })
}

function addRunRoutes(app: Hono<App>, { runs, session, live }: AppParts): void {
  app.get('/api/session', (c) => c.json(session))
  app.get('/api/runs', (c) => c.json({ runs: runs.list().map(summaryOf) }))
  app.get('/api/compare', (c) => {
    const ids = queryOf(c, asked.compareQuery).runs
    return c.json(compareRuns(ids.map((id) => there(runs.find(id), 'run'))))
  })
  app.get('/api/runs/:run', (c) => c.json(runReply(runOf(c, runs))))
  app.get('/api/runs/:run/series', (c) => {
    const run = runOf(c, runs)
    return c.json(seriesOf(run.id, run.log(), queryOf(c, asked.seriesQuery).points))
  })
  app.get('/api/runs/:run/judges', async (c) => c.json(await judgesReply(runOf(c, runs))))
  app.get('/api/runs/:run/evaluations', async (c) => c.json(await evaluationsReply(runOf(c, runs))))
  app.get('/api/runs/:run/events', (c) => {
    const from = c.req.header('last-event-id') ?? queryOf(c, asked.eventsQuery).from
    const stream = live.listen(runOf(c, runs), from, () => c.env.outgoing.destroy())
    if (stream === undefined) throw new RequestError(503, 'too many pages follow runs: close some')
    return c.body(stream, 200, { 'content-type': 'text/event-stream' })
  })
}

function addTraceRoutes(app: Hono<App>, { runs }: AppParts): void {
  app.get('/api/runs/:run/traces', async (c) => c.json(await listTraces(runOf(c, runs), queryOf(c, asked.traceQuery))))
  app.get('/api/runs/:run/traces/:trace', async (c) =>
    c.json(there(await readTrace(runOf(c, runs), c.req.param('trace')), 'trace')),
  )
  app.get('/api/runs/:run/problems', async (c) =>
    c.json(await listProblems(runOf(c, runs), queryOf(c, asked.problemQuery))),
  )
  app.get('/api/runs/:run/problems/:problem', async (c) =>
    c.json(there(await readTree(runOf(c, runs), c.req.param('problem')), 'problem')),
  )
  app.get('/api/runs/:run/pairs', async (c) => c.json(await listPairs(runOf(c, runs), queryOf(c, asked.pairQuery))))
  app.post('/api/runs/:run/pairs/:pair', async (c) => {
    const review = await bodyOf(c, asked.pairReview)
    return c.json(there(await reviewPair(runOf(c, runs), c.req.param('pair'), review), 'pair'))
  })
}

function addLabelRoutes(app: Hono<App>, { runs, session }: AppParts): void {
  const labels = '/api/runs/:run/labels'
  app.get(labels, async (c) => c.json(await listLabels(runOf(c, runs), queryOf(c, asked.pageQuery))))
  app.get(`${labels}/next`, async (c) => c.json(await nextTask(runOf(c, runs), queryOf(c, asked.orderQuery).order)))
  app.post(labels, async (c) =>
    c.json(there(await addLabel(runOf(c, runs), await bodyOf(c, asked.labelInput)), 'trace')),
  )
  app.post(`${labels}/skip`, async (c) =>
    c.json(there(await skipTrace(runOf(c, runs), (await bodyOf(c, asked.skipInput)).trace), 'trace')),
  )
  app.post(`${labels}/undo`, async (c) => {
    await bodyOf(c, asked.nothing)
    return c.json(await undoLabel(runOf(c, runs), session.who))
  })
}

/** Browsers ask for the second by themselves. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['/', '/index.html'],
  ['/favicon.ico', '/favicon.svg'],
])

/** The built pages. What is asked for is looked up among the files there are: no path of a request reaches the disk. */
function addSite(app: Hono<App>, site: Site): void {
  app.get('*', (c) => {
    const file = site.get(ALIASES.get(c.req.path) ?? c.req.path)
    if (file === undefined) return c.notFound()
    return c.body(file.read(), 200, { 'content-type': file.type, 'cache-control': 'no-cache' })
  })
}
