/** @file Several servers of one model: each request goes to the least busy one, and one that fails is left out for a while. */
import type { FailureKind } from '../../data/judgement.ts'

/** A request that is under way at an address. */
export interface Visit {
  readonly baseUrl: string
  /** Once, when it has come to its end. `failure`: why no whole reply came. */
  leave(failure?: FailureKind): void
}

export interface Endpoints {
  choose(): Visit
}

/** Failures that say something of the server, not of what it was asked. */
const OF_SERVER: ReadonlySet<FailureKind> = new Set(['network', 'timeout', 'truncated', 'server-error'])

/** How long a server that failed is left out. */
export const REST_MS = 30_000

interface Endpoint {
  readonly baseUrl: string
  underWay: number
  /** All that it was given: of equally busy ones the least used is next. */
  total: number
  /** Left out until then. */
  restsUntil: number
}

/** Where all rest, the one that has rested longest is asked: the policy of retries decides when to give up. */
export function createEndpoints(baseUrls: readonly string[], now: () => number): Endpoints {
  const all: Endpoint[] = baseUrls.map((baseUrl) => ({ baseUrl, underWay: 0, total: 0, restsUntil: 0 }))
  const isBefore = (a: Endpoint, b: Endpoint): boolean =>
    a.underWay !== b.underWay ? a.underWay < b.underWay : a.total < b.total
  return {
    choose: () => {
      const awake = all.filter(({ restsUntil }) => restsUntil <= now())
      const chosen =
        awake.length > 0
          ? awake.reduce((best, one) => (isBefore(one, best) ? one : best))
          : all.reduce((best, one) => (one.restsUntil < best.restsUntil ? one : best))
      chosen.underWay++
      chosen.total++
      return {
        baseUrl: chosen.baseUrl,
        leave: (failure) => {
          chosen.underWay--
          if (failure !== undefined && OF_SERVER.has(failure)) chosen.restsUntil = now() + REST_MS
        },
      }
    },
  }
}
