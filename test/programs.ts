/** @file The command, and programs that tests start, as JavaScript: made once in a process, they begin sooner. */
import { copyFileSync, existsSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inject } from 'vitest'
import { bundle } from '../scripts/bundle.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const PROGRAMS = [
  'test/judge/command',
  'test/judge/judging',
  'test/judge/server',
  'test/judge/spender',
  'test/storm/child',
  'test/storm/holder',
]

function makeOnce(name: string, make: (folder: string) => void): string {
  const folder = join(inject('folder'), `${name}-${process.pid}`)
  if (existsSync(folder)) return folder
  make(folder)
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

/** The package's folder with the command in `dist`, as it is published. */
export function commandFolder(): string {
  return makeOnce('command', (folder) =>
    bundle({ programs: { 'dist/command/main': 'src/cli/main.ts' }, folder, shared: 'dist/command' }),
  )
}

/** The file of a program, which is named by its source from the repository's folder. */
export function program(source: string): string {
  const folder = makeOnce('programs', (folder) => {
    bundle({ programs: Object.fromEntries(PROGRAMS.map((name) => [name, `${name}.ts`])), folder, shared: 'src/shared' })
  })
  return join(folder, dirname(source), `${basename(source, '.ts')}.js`)
}
