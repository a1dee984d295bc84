/** @file The dashboard's server: listens, refuses what it should not hear, closes. */
import { createServer, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { getRequestListener } from '@hono/node-server'
import { codeOf, messageOf, UserError } from '../base/errors.ts'
import type { Session } from '../data/dashboard.ts'
import { makeApp } from './app.ts'
import { HEADERS, refuseHost } from './guard.ts'
import { openLive } from './live.ts'
import { resolveRoot } from './run-files.ts'
import { openRuns } from './runs.ts'
import { openSite } from './site.ts'
import { makeSecret } from './token.ts'

export interface ServeOptions {
  /** The folder of runs. */
  readonly runs: string
  /** The folder of the built pages. */
  readonly site: string
  readonly host: string
  /** The first that is tried; 0 for any. */
  readonly port: number
  /** How many others are tried where it is taken. */
  readonly morePorts: number
  readonly who: string
  readonly version: string
  readonly now: () => Date
}

export interface Dashboard {
  /** With the token. */
  readonly link: string
  readonly port: number
  /** The methods and paths that are answered. */
  readonly routes: readonly { readonly method: string; readonly path: string }[]
  close(): Promise<void>
}

const LIMITS: ServerOptions = {
  maxHeaderSize: 16 << 10,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
}
const MAX_CONNECTIONS = 2048

/** As they stand in a Host header. */
const LOOPBACK: readonly string[] = ['127.0.0.1', 'localhost', '[::1]']

export function isLoopback(host: string): boolean {
  return ['127.0.0.1', 'localhost', '::1'].includes(host)
}

/** The names under which it may be asked for: those of this machine alone, where others may reach it. */
function namesOf(host: string, port: number): Set<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((known) => known ?? [])
  const others = addresses.map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address))
  const names = isLoopback(host) ? LOOPBACK : [...LOOPBACK, hostname().toLowerCase(), ...others]
  return new Set(names.map((name) => `${name}:${port}`))
}

/** @throws UserError where the folder cannot be read, or no port is free. */
export async function serveDashboard(options: ServeOptions): Promise<Dashboard> {
  const { who, version, now, host } = options
  const runs = openRuns(resolveRoot(options.runs), { who, now })
  const session: Session = { who, version, folder: options.runs, isStatic: false }
  const live = openLive()
  const token = makeSecret()
  const server = createServer(LIMITS)
  server.maxConnections = MAX_CONNECTIONS
  const port = await listen(server, options)
  const cookie = { cookie: makeSecret(), cookieName: `stepdpo_${port}` } // cookies do not tell ports apart
  const app = makeApp({ runs, session, live, token, ...cookie, site: openSite(options.site) })
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: false }) // those are the process's
  const names = namesOf(host, port)
  server.on('request', (incoming, outgoing) => {
    const refusal = refuseHost(incoming, names)
    if (refusal === undefined) return void answer(incoming, outgoing)
    outgoing.writeHead(refusal.status, { ...HEADERS, 'content-type': 'application/json', connection: 'close' })
    outgoing.end(JSON.stringify({ error: refusal.error }))
  })
  return {
    link: `http://${isLoopback(host) ? '127.0.0.1' : hostname()}:${port}/login?token=${token.text}`,
    port,
    routes: app.routes.map(({ method, path }) => ({ method, path })),
    close: async () => {
      live.close()
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

/** Listens on the first free port. */
async function listen(server: Server, { host, port, morePorts }: ServeOptions): Promise<number> {
  for (let tried = 0; ; tried++) {
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port === 0 ? 0 : port + tried, host, () => {
          server.off('error', reject)
          resolve()
        })
      })
      return portOf(server.address())
    } catch (error) {
      server.removeAllListeners('error')
      if (codeOf(error) === 'EADDRINUSE' && tried < morePorts) continue
      throw new UserError(`cannot listen on ${host}:${port + tried}: ${messageOf(error)}`, { cause: error })
    }
  }
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}
