/**
 * @file Programs of few files, made by esbuild: Node finds and reads hundreds of modules slower than it runs most commands.
 * What `stepdpo` runs is made so by scripts/make-command.ts; the library stays as the compiler leaves it, a file a module.
 */
import { type BuildResult, buildSync } from 'esbuild'

interface Bundle {
  /** Sources from the repository's folder, by the path of what is made of them, without its ending. */
  readonly programs: Readonly<Record<string, string>>
  readonly folder: string
  /** Below `folder`, for what programs share: as deep below the package's folder as sources are, which find its files so. */
  readonly shared: string
}

/** Native, or loaded only where it is used. */
const APART = ['onnxruntime-node', 'openai', '@anthropic-ai/sdk', '@huggingface/hub', 'undici']

/** CommonJS packages ask for Node's own modules this way. */
const REQUIRE = "import { createRequire as toRequire } from 'node:module'\nconst require = toRequire(import.meta.url)"

/** With the thread that training starts, beside what is shared. The result's `metafile` has every file that went in. */
export function bundle({ programs, folder, shared }: Bundle): BuildResult<{ metafile: true }> {
  return buildSync({
    absWorkingDir: `${import.meta.dirname}/..`,
    entryPoints: { ...programs, [`${shared}/ahead-thread`]: 'src/model/ahead-thread.ts' },
    outdir: folder,
    chunkNames: `${shared}/[name]-[hash]`,
    bundle: true,
    splitting: true,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: APART,
    banner: { js: REQUIRE },
  })
}
