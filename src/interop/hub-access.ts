/** @file How the Hub is reached and where its files are kept: the environment variables of huggingface_hub. */
import { readFileSync, symlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { type Clock, systemClock } from '../judge/clock.ts'
import { createSecret, type Secret } from '../judge/secret.ts'

export type Environment = Readonly<Record<string, string | undefined>>

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
}

/**
 * HF_ENDPOINT, HF_TOKEN or the token file, HF_HUB_OFFLINE, HF_HUB_CACHE and HF_HOME, with the defaults of huggingface_hub.
 * @throws UserError for an address or a token that is none.
 */
export function openHub(environment: Environment, signal: AbortSignal, clock: Clock = systemClock): Hub {
  return {
    endpoint: readEndpoint(environment.HF_ENDPOINT || 'https://huggingface.co'),
    token: readToken(environment),
    isOffline: [environment.HF_HUB_OFFLINE, environment.TRANSFORMERS_OFFLINE].some((value) =>
      /^(1|on|yes|true)$/i.test(value ?? ''),
    ),
    cache: hubCache(environment),
    signal,
    clock,
    link: symlinkSync,
  }
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
  const given = environment.HF_TOKEN || environment.HUGGING_FACE_HUB_TOKEN
  const token = (given ?? readTokenFile(environment) ?? '').trim()
  if (token === '') return undefined
  if (/^[\x21-\x7e]+$/.test(token)) return createSecret(token)
  throw new UserError('HF_TOKEN, or the token file: expected one word of plain characters, found something else')
}

function readTokenFile(environment: Environment): string | undefined {
  try {
    return readFileSync(environment.HF_TOKEN_PATH || join(hubHome(environment), 'token'), 'utf8')
  } catch {
    return undefined // nobody has logged in
  }
}
