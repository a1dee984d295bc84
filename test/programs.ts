/** @file Programs that tests start, as JavaScript: compiled once in a process, they begin in a third of the time. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inject } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The repository's folders with what programs.json names, and all that it imports. */
export function compiledFolder(): string {
  const folder = join(inject('folder'), `programs-${process.pid}`)
  if (existsSync(folder)) return folder
  const compiler = join(ROOT, 'node_modules/.bin/tsc')
  execFileSync(compiler, ['-p', join(ROOT, 'test/programs.json'), '--outDir', folder])
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

/** The compiled file of a source, which is named from the repository's folder. */
export function program(source: string): string {
  return join(compiledFolder(), source.replace(/\.ts$/, '.js'))
}
