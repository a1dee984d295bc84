/**
 * @file Whether ONNX Runtime computes on a provider, tried in a process of its own: where a driver crashes, only that one
 * ends. It runs a product of two by two numbers, of a graph that the engine has written.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as ort from 'onnxruntime-node'
import { makeGraph } from './backend.ts'
import { toOnnx } from './onnx.ts'
import { input, matmul } from './ops.ts'
import { ortMessage } from './ort-message.ts'

/** Those that the installed package was built with. */
export function builtProviders(): string[] {
  return ort.listSupportedBackends().map(({ name }) => name)
}

export function runtimeVersion(): string {
  return ort.env.versions.node ?? ort.env.versions.common
}

/** The installed package, and where in it the libraries of this system lie. */
export function runtimeFolders(): { readonly root: string; readonly libraries: string } {
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  return { root, libraries: join(root, 'bin', 'napi-v6', process.platform, process.arch) }
}

/** Those of the CUDA provider, which the package does not bring. */
export const CUDA_LIBRARIES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'] as const

const SCRIPT = `
const ort = await import('onnxruntime-node')
const [model, provider] = process.argv.slice(1)
const extra = provider === 'cpu' ? {} : { session: { disable_cpu_ep_fallback: '1' } }
const options = { executionProviders: [provider], logSeverityLevel: 4, extra }
const session = await ort.InferenceSession.create(Buffer.from(model, 'base64'), options)
const x = new ort.Tensor('float32', Float32Array.of(1, 2, 3, 4), [2, 2])
const { y } = await session.run({ x }, ['y'])
process.stdout.write(y.data.join())
process.exit(0)
`
/** [[1, 2], [3, 4]]² */
const SQUARE = '7,10,15,22'
const PATIENCE_MS = 30_000

/** Loads a library that is no module of Node: the error names what it needs and does not find. */
const LOAD = 'process.dlopen({ exports: {} }, process.argv[1])'

/** From here the scripts find the package. */
const HERE = fileURLToPath(new URL('.', import.meta.url))

interface Outcome {
  readonly stdout: string
  readonly stderr: string
  /** Why it ended early. */
  readonly ended?: string
}

function runScript(script: string, args: readonly string[]): Promise<Outcome> {
  const options = { cwd: HERE, timeout: PATIENCE_MS, maxBuffer: 1 << 20 }
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--input-type=module', '--eval', script, '--', ...args],
      options,
      (error, stdout, stderr) => {
        if (!error?.signal) resolve({ stdout, stderr })
        else {
          const ended = error.killed ? `no answer in ${PATIENCE_MS / 1000} s` : `crashed: ${error.signal}`
          resolve({ stdout, stderr, ended })
        }
      },
    )
  })
}

/** Undefined where the provider computes right, else the first line of what went wrong. */
export async function probeProvider(provider: string): Promise<string | undefined> {
  const x = input('x', [2, 2])
  const model = Buffer.from(toOnnx(makeGraph({ y: matmul(x, x) }), {}, {}, { marked: false })).toString('base64')
  const { stdout, stderr, ended } = await runScript(SCRIPT, [model, provider])
  if (stdout === SQUARE) return undefined
  const problem = ended ?? problemLine(stderr) ?? `expected ${SQUARE}, found ${stdout.slice(0, 100)}`
  return provider === 'cuda' && /Failed to load shared library/.test(problem) ? missingLibrary() : problem
}

/** Which library is the first that CUDA's files lack; ONNX Runtime says only that something does. */
async function missingLibrary(): Promise<string> {
  const { libraries } = runtimeFolders()
  const absent = CUDA_LIBRARIES.find((name) => !existsSync(join(libraries, name)))
  if (absent !== undefined) return `the package has no ${absent}`
  const { stderr } = await runScript(LOAD, [join(libraries, 'libonnxruntime_providers_cuda.so')])
  return problemLine(stderr) ?? 'its libraries do not load'
}

/** The message of an uncaught error, without its stack. */
function problemLine(stderr: string): string | undefined {
  const lines = stderr.split('\n').map((line) => line.trim())
  const line = lines.find((one) => /^\w*Error: /.test(one)) ?? lines.find((one) => one !== '')
  return line && ortMessage(line.replace(/^\w*Error: /, ''))
}
