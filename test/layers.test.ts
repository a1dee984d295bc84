/** The order of the rooms is the order of the data: a file imports only from its own room and from rooms above it. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOMS = [
  'base',
  'engine',
  'model',
  'text',
  'data',
  'rollout',
  'judge',
  'pair',
  'batch',
  'train',
  'eval',
  'interop',
  'recipe',
  'server',
  'cli',
]
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SOURCES = join(ROOT, 'src')

const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => join(SOURCES, path))

/** What a file imports of ours, statically or not. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  const found = text.matchAll(/(?:from|import\()\s*'(\.[^']*)'/g)
  return Array.from(found, ([, path]) => resolve(dirname(file), path))
}

function roomOf(file: string): string {
  return relative(SOURCES, file).split(/[/\\]/)[0]
}

test('files import only upwards', () => {
  const wrong: string[] = []
  for (const file of files) {
    if (roomOf(file) === 'index.ts') continue
    for (const imported of importsOf(file)) {
      const isTestHelp =
        file.endsWith('.test.ts') && ['test', 'scripts'].includes(relative(ROOT, imported).split(/[/\\]/)[0])
      const isUpwards = ROOMS.indexOf(roomOf(imported)) <= ROOMS.indexOf(roomOf(file))
      const isInside = ROOMS.includes(roomOf(imported))
      if (!isTestHelp && !(isInside && isUpwards)) wrong.push(`${relative(ROOT, file)} → ${relative(ROOT, imported)}`)
    }
  }
  expect(wrong).toEqual([])
})

test('every room is known, and every import names its file with its ending', () => {
  expect(files.map(roomOf).filter((room) => room !== 'index.ts' && !ROOMS.includes(room))).toEqual([])
  const bare = files.flatMap((file) => importsOf(file).filter((path) => !path.endsWith('.ts')))
  expect(bare).toEqual([])
})

test('every file says what it is', () => {
  const silent = files.filter((file) => !file.endsWith('.test.ts') && !readFileSync(file, 'utf8').startsWith('/**'))
  expect(silent.map((file) => relative(ROOT, file))).toEqual([])
})

test('neither sources nor documents name a folder of one machine or the host of a registry', () => {
  const documents = ['README.md', 'CHANGELOG.md', 'package.json', 'package-lock.json'].map((name) => join(ROOT, name))
  const scanned = [...files, ...documents].filter((file) => {
    const text = readFileSync(file, 'utf8')
    return /(^|[^\w.])\/(?:root|work|farm)\/|https?:\/\/registry\./.test(text)
  })
  expect(scanned.map((file) => relative(ROOT, file))).toEqual([])
})
