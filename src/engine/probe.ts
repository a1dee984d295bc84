/**
 * @file Whether ONNX Runtime computes on a provider, tried in a process of its own: where a driver crashes, only that one
 * ends. It runs a product of two by two numbers, of a graph that the engine has written.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import * as ort from 'onnxruntime-node'
import { makeGraph } from './backend.ts'
import { toOnnx } from './onnx.ts'
import { input, matmul } from './ops.ts'

/** Those that the installed package was built with. */
export function builtProviders(): string[] {
  return ort.listSupportedBackends().map(({ name }) => name)
}

export function runtimeVersion(): string {
  return ort.env.versions.node ?? ort.env.versions.common
}

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

/** From here the script finds the package. */
const HERE = fileURLToPath(new URL('.', import.meta.url))

/** Undefined where the provider computes right, else the first line of what went wrong. */
export function probeProvider(provider: string): Promise<string | undefined> {
  const x = input('x', [2, 2])
  const model = Buffer.from(toOnnx(makeGraph({ y: matmul(x, x) }), {}, {}, { marked: false })).toString('base64')
  const args = ['--input-type=module', '--eval', SCRIPT, '--', model, provider]
  const options = { cwd: HERE, timeout: PATIENCE_MS, maxBuffer: 1 << 20 }
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      if (stdout === SQUARE) resolve(undefined)
      else if (error?.signal)
        resolve(error.killed ? `no answer in ${PATIENCE_MS / 1000} s` : `crashed: ${error.signal}`)
      else resolve(problemLine(stderr) ?? `expected ${SQUARE}, found ${stdout.slice(0, 100)}`)
    })
  })
}

/** The message of an uncaught error, without its stack. */
function problemLine(stderr: string): string | undefined {
  const lines = stderr.split('\n').map((line) => line.trim())
  const line = lines.find((one) => /^\w*Error: /.test(one)) ?? lines.find((one) => one !== '')
  // ONNX Runtime puts its file and function in front.
  return line?.replace(/^\w*Error: (?:\/.* was false\. )?/, '').slice(0, 300)
}
