/** @file Builds CUDA's libraries without a card (runtime.c) for the installed CUDA provider: gcc, nm, and pip for headers. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CUDA_LIBRARIES, runtimeFolders } from '../../src/engine/probe.ts'
import { installCuda } from '../../src/recipe/install-cuda.ts'

/** The functions that are written out, by library. What else a library needs gives 0. */
const WRITTEN: Readonly<Record<string, string>> = {
  'libcudart.so.13': 'runtime.c',
  'libcublas.so.13': 'products.c',
  'libcublasLt.so.13': 'products.c',
  'libcudnn.so.9': 'products.c',
}
const HEADERS = ['nvidia-cuda-runtime~=13.0', 'nvidia-cuda-crt~=13.0']

const run = (program: string, args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2], maxBuffer: 1 << 28 })

/** Libraries in a folder below `folder`, whose path it gives; the provider is installed first where there is none. */
export async function buildDriver(folder: string): Promise<string> {
  const { libraries } = runtimeFolders()
  if (!CUDA_LIBRARIES.every((name) => existsSync(join(libraries, name)))) await installCuda('cuda13', process.env)
  const [built, headers] = [join(folder, 'lib'), join(folder, 'headers')]
  mkdirSync(built, { recursive: true })
  const include = join(headers, 'nvidia/cu13/include')
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--upgrade', '--target', headers]
  if (!existsSync(join(include, 'crt'))) run(process.env['STEPDPO_PYTHON'] || 'python3', [...pip, ...HEADERS])
  const needed = neededFunctions(join(libraries, 'libonnxruntime_providers_cuda.so'))
  for (const [library, names] of needed) compile(library, names, built, include)
  return built
}

/** The names of functions that the provider needs, by the library which it expects them in. */
function neededFunctions(provider: string): ReadonlyMap<string, ReadonlySet<string>> {
  const needed = new Map<string, Set<string>>([
    ['libcuda.so.1', new Set(['cuTensorMapEncodeTiled'])],
    ['libcurand.so.10', new Set()],
    // Looked up by name when it runs.
    ['libcudnn.so.9', new Set(readFileSync(provider, 'latin1').match(/\bcudnn[A-Z]\w+(?=\0)/g))],
  ])
  for (const [, name, library] of run('nm', ['-D', '--undefined-only', provider]).matchAll(
    / U (\w+)@(libcu\w+\.so\.\d+)/g,
  ))
    needed.set(library, (needed.get(library) ?? new Set()).add(name))
  if (needed.has('libcudart.so.13')) return needed
  throw new Error('the CUDA provider is not that of CUDA 13: stepdpo doctor --install_cuda cuda13')
}

function compile(library: string, names: ReadonlySet<string>, built: string, headers: string): void {
  const own = WRITTEN[library] && fileURLToPath(new URL(WRITTEN[library], import.meta.url))
  const written = new Set(
    own && [...readFileSync(own, 'utf8').matchAll(/^\w[\w *]*?(\w+)\(/gm)].map(([, name]) => name),
  )
  const [rest, versions] = [join(built, `${library}.c`), join(built, `${library}.map`)]
  writeFileSync(
    rest,
    [...names]
      .filter((name) => !written.has(name))
      .map((name) => `int ${name}(void) { return 0; }\n`)
      .join(''),
  )
  writeFileSync(versions, `${library} { global: *; };\n`)
  const linking = [`-Wl,-soname,${library}`, `-Wl,--version-script=${versions}`, '-o', join(built, library)]
  run('gcc', ['-O3', '-w', '-shared', '-fPIC', `-I${headers}`, rest, ...(own ? [own] : []), ...linking])
}
