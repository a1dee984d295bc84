/** @file How the Hub is reached and where its files are kept: the environment variables of huggingface_hub. */
import { readFileSync, symlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { type Fetch, fetchBy } from '../base/proxy.ts'
import { type Clock, systemClock } from '../judge/clock.ts'
import { createSecret, type Secret } from '../judge/secret.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** How long things may take before they count as failed. */
export interface Patience {
  /** Of one request, with waits between them. */
  readonly attempts: number
  /** Until the first byte of a small answer. */
  readonly headersMs: number
  /** Without any byte. */
  readonly silenceMs: number
}

export interface Hub {
  /** Without a slash at its end. */
  readonly endpoint: string
  /** Sent to the endpoint's own origin only. */
  readonly token: Secret | undefined
  readonly isOffline: boolean
  /** The folder of all repositories. */
  readonly cache: string
  readonly signal: AbortSignal
  readonly clock: Clock
  /** Makes a symbolic link; tests bring one of a system that has none. */
  readonly link: (target: string, path: string) => void
  readonly fetch: Fetch
  readonly patience: Patience
  /** Hears what is tried again, and why. */
  readonly tell: (message: string) => void
}

const PATIENCE: Patience = { attempts: 6, headersMs: 10_000, silenceMs: 30_000 }
const HASTY_MS = 5000

/** The same Hub for a question that can do without an answer: one attempt, and a short one. */
export function hasty(hub: Hub): Hub {
  const { headersMs, silenceMs } = hub.patience
  const patience = { attempts: 1, headersMs: Math.min(headersMs, HASTY_MS), silenceMs: Math.min(silenceMs, HASTY_MS) }
  return { ...hub, patience }
}

/**
 * HF_ENDPOINT, HF_TOKEN or the token file, HF_HUB_OFFLINE, HF_HUB_CACHE and HF_HOME, with the defaults of huggingface_hub;
 * HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT; the variables of proxies.
 * @throws UserError for an address, a token or a time that is none.
 */
export function openHub(environment: Environment, signal: AbortSignal, parts: Partial<Hub> = {}): Hub {
  return {
    endpoint: readEndpoint(environment.HF_ENDPOINT || 'https://huggingface.co'),
    token: readToken(environment),
    isOffline: [environment.HF_HUB_OFFLINE, environment.TRANSFORMERS_OFFLINE].some((value) =>
      /^(1|on|yes|true)$/i.test(value ?? ''),
    ),
    cache: hubCache(environment),
    signal,
    clock: systemClock,
    link: symlinkSync,
    fetch: fetchBy(environment),
    patience: {
      ...PATIENCE,
      headersMs: readSeconds(environment, 'HF_HUB_ETAG_TIMEOUT') ?? PATIENCE.headersMs,
      silenceMs: readSeconds(environment, 'HF_HUB_DOWNLOAD_TIMEOUT') ?? PATIENCE.silenceMs,
    },
    tell: () => {},
    ...parts,
  }
}

/** In milliseconds; undefined where nothing is said, as by 0. */
function readSeconds(environment: Environment, name: string): number | undefined {
  const text = environment[name]?.trim() ?? ''
  if (/^\d{1,6}$/.test(text)) return Number(text) * 1000 || undefined
  if (text === '') return undefined
  throw new UserError(`${name}: expected seconds, such as 30, found something else`)
}

/** The folder of all repositories. */
export function hubCache(environment: Environment): string {
  const cache = environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE
  return cache ? expandHome(cache) : join(hubHome(environment), 'hub')
}

function hubHome({ HF_HOME, XDG_CACHE_HOME }: Environment): string {
  return expandHome(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'))
}

function expandHome(path: string): string {
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : path
}

function readEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.search === ''
  if (isPlain) return url.href.replace(/\/+$/, '')
  throw new UserError('HF_ENDPOINT: expected an address such as https://huggingface.co, found something else')
}

function readToken(environment: Environment): Secret | undefined {
  const given = environment.HF_TOKEN || environment.HUGGING_FACE_HUB_TOKEN || undefined
  const token = (given ?? readTokenFile(environment) ?? '').trim()
  if (token === '') return undefined
  if (/^[\x21-\x7e]+$/.test(token)) return createSecret(token)
  throw new UserError('HF_TOKEN, or the token file: expected one word of plain characters, found something else')
}

/** Where a token is; undefined where there is none. @throws UserError for one that is none. */
export function findToken(environment: Environment): string | undefined {
  if (readToken(environment) === undefined) return undefined
  const variable = ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'].find((name) => environment[name])
  return variable ?? tokenPath(environment)
}

export function tokenPath(environment: Environment): string {
  return environment.HF_TOKEN_PATH ? expandHome(environment.HF_TOKEN_PATH) : join(hubHome(environment), 'token')
}

function readTokenFile(environment: Environment): string | undefined {
  try {
    return readFileSync(tokenPath(environment), 'utf8')
  } catch {
    return undefined // nobody has logged in
  }
}
