/** @file The command, and programs that tests start, as JavaScript: made once in a process, they begin sooner. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { inject } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const PROGRAMS = [
  'test/judge/command',
  'test/judge/judging',
  'test/judge/server',
  'test/judge/spender',
  'test/storm/child',
  'test/storm/holder',
]

/** What is shared lies as deep as the sources that look for files of the package, and beside the thread that they start. */
const SHARED = 'src/shared'

function makeOnce(name: string, make: (folder: string) => void): string {
  const folder = join(inject('folder'), `${name}-${process.pid}`)
  if (existsSync(folder)) return folder
  make(folder)
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

/** The repository's folders with the command and all that it imports, each module a file, as it is published. */
export function compiledFolder(): string {
  return makeOnce('command', (folder) => {
    const compiler = join(ROOT, 'node_modules/.bin/tsc')
    execFileSync(compiler, ['-p', join(ROOT, 'test/programs.json'), '--outDir', folder])
  })
}

/** The file of a program, which is named by its source from the repository's folder: few files, which are read sooner. */
export function program(source: string): string {
  const folder = makeOnce('programs', (outdir) => {
    buildSync({
      absWorkingDir: ROOT,
      entryPoints: {
        ...Object.fromEntries(PROGRAMS.map((name) => [name, `${name}.ts`])),
        [`${SHARED}/ahead-thread`]: 'src/model/ahead-thread.ts',
      },
      outdir,
      chunkNames: `${SHARED}/[hash]`,
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      // Of what is not bundled, some is native, and some is loaded only where it is used.
      external: ['onnxruntime-node', 'openai', '@anthropic-ai/sdk', '@huggingface/hub', 'undici'],
      banner: {
        js: "import { createRequire as toRequire } from 'node:module'\nconst require = toRequire(import.meta.url)",
      },
    })
  })
  return join(folder, dirname(source), `${basename(source, '.ts')}.js`)
}
