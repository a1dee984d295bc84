/** @file Addresses of pages, after the `#`: they work from a server and from a disk, and name any trace. */
import { useEffect, useState } from 'preact/hooks'

export interface Address {
  /** Decoded: `['run', 'a', 'traces', 'b']`. */
  readonly parts: readonly string[]
  readonly query: URLSearchParams
}

export type Query = Readonly<Record<string, string | number | null | undefined>>

export function readAddress(hash: string): Address {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s, 2)
  return { parts: path.split('/').filter(Boolean).map(decodePart), query: new URLSearchParams(query) }
}

/** The link to a page; parameters that are empty are left out. */
export function linkTo(parts: readonly string[], query: Query = {}): string {
  return `#/${parts.map(encodeURIComponent).join('/')}${writeQuery(query)}`
}

/** `?a=b`, or nothing. */
export function writeQuery(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '')
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
  return text === '' ? '' : `?${text}`
}

export function useAddress(): Address {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const follow = () => setHash(location.hash)
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  return readAddress(hash)
}

export function goTo(link: string): void {
  location.hash = link
}

/** Changes parameters of the page that is shown, without a new entry of the history. */
export function changeQuery(changes: Query): void {
  const { parts, query } = readAddress(location.hash)
  const all: Query = { ...Object.fromEntries(query), ...changes }
  history.replaceState(null, '', linkTo(parts, all))
  dispatchEvent(new Event('hashchange'))
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part // an address that somebody typed
  }
}
