/** @file The built pages: which files there are, where they stand. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../base/errors.ts'

export interface SiteFile {
  readonly path: string
  readonly type: string
  read(): Uint8Array<ArrayBuffer>
}

/** By what is asked for: `/index.html`, `/assets/…`. */
export type Site = ReadonlyMap<string, SiteFile>

const TYPES: ReadonlyMap<string, string> = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.json', 'application/json'],
  ['.map', 'application/json'],
  ['.svg', 'image/svg+xml'],
  ['.woff2', 'font/woff2'],
])

/** Beside what is compiled, or from the sources. */
const PLACES = ['../ui', '../../dist/ui']

/** @throws UserError where the pages were not built. */
export function siteFolder(): string {
  const folders = PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url)))
  const found = folders.find((folder) => existsSync(join(folder, 'index.html')))
  if (found === undefined) throw new UserError('the pages are not built: run `npm run build:ui` in the clone first')
  return found
}

export function openSite(folder: string): Site {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  return new Map(
    paths.map((path) => {
      const type = TYPES.get(extname(path)) ?? 'application/octet-stream'
      const read = (): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(path))
      return [`/${relative(folder, path).split(sep).join('/')}`, { path, type, read }]
    }),
  )
}
