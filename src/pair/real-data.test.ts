import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isSlow } from '../../test/slow.ts'
import type { FormatName } from '../data/formats.ts'
import { type LoadedData, loadGroups, type Wanted } from './groups.ts'
import { groupPairs } from './pairs.ts'

const DATA = join(import.meta.dirname, '../../../shared/data')
const GUIDE = join(import.meta.dirname, '../../docs/formats.md')

/** The rows of the table in the guide, cell by cell; "–" is nothing. */
const table = readFileSync(GUIDE, 'utf8')
  .split('## What loads')[1]
  .split('\n## ')[0]
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
  .map(([, file, ...cells]) => ({ file, cells: cells.slice(0, -1) }))

async function load(file: string, wanted: Wanted): Promise<LoadedData | undefined> {
  return loadGroups(join(DATA, file), { neutral: 'drop', separator: '\n', strict: true, wanted }).catch((error) => {
    if (String(error).includes('no pair can be made')) return undefined
    throw error
  })
}

async function cellsOf(file: string): Promise<string[]> {
  const [preferences, members] = [await load(file, 'preferences'), await load(file, 'members')]
  const pairs = preferences?.groups.flatMap((group) => groupPairs(group, 'all').map(({ weight }) => weight))
  const format: FormatName | undefined = members?.format
  const { rows, members: counted } = members?.counts ?? {}
  const groups = [preferences?.groups.length, pairs?.reduce((sum, weight) => sum + weight, 0)]
  const cells = [format, rows?.used, counted?.read, ...groups, members?.groups.length, counted?.used]
  return cells.map((cell) => `${cell ?? '–'}`)
}

test('the guide has a table of what loads', () => {
  expect(table.map(({ file }) => file)).toContain('prm800k/phase1_train.jsonl')
  expect(table).toHaveLength(6)
})

test.skipIf(!existsSync(DATA)).each(table.filter(({ file }) => isSlow || !file.includes('phase1')))(
  'the guide tells what loads from $file',
  async ({ file, cells }) => {
    expect(await cellsOf(file)).toEqual(cells)
  },
)
