/** @file What is there to work with, what is missing, and how to get it: the `doctor` command. */
import { execFile } from 'node:child_process'
import { messageOf, UserError } from '../base/errors.ts'
import { fetchBy } from '../base/proxy.ts'
import { elementCount } from '../engine/dims.ts'
import { runtimeVersion } from '../engine/probe.ts'
import { findToken, tokenPath } from '../interop/hub-access.ts'
import { families } from '../model/families.ts'
import { loadConfig } from '../model/load.ts'
import { openWeights } from '../model/tensor-source.ts'
import { tensorShapes } from '../model/weights.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import { DEVICE_FIXES, deviceProblem } from './device.ts'
import { devices } from './device-settings.ts'
import { machineChecks } from './doctor-machine.ts'
import type { Check, DoctorSettings } from './doctor-settings.ts'
import { installCuda } from './install-cuda.ts'
import { usableMemory } from './usable-memory.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Looks at everything. What is tried is really run; nothing is sent unless `online`. */
export async function examine(settings: DoctorSettings, environment: Environment): Promise<Check[]> {
  if (settings.install_cuda !== undefined) await installCuda(settings.install_cuda, environment)
  return [
    ...machineChecks(environment),
    ...(await engineChecks()),
    ...(settings.base_model === undefined ? [] : modelChecks(settings.base_model)),
    await pythonCheck(environment),
    ...variableChecks(environment),
    ...(settings.online ? await networkChecks(environment) : []),
  ]
}

async function engineChecks(): Promise<Check[]> {
  const version: Check = { area: 'engine', name: 'onnxruntime', state: 'ok', value: runtimeVersion() }
  const found = await Promise.all(devices.map(deviceProblem))
  const checks = devices.map((name, at): Check => {
    const problem = found[at]
    const own = { area: 'engine', name: `device ${name}` } as const
    if (problem === undefined) return { ...own, state: 'ok', value: 'a small session computes right' }
    const fix =
      name === 'cpu'
        ? 'install the package again: npm ci (or npm install -g --ignore-scripts stepwise-dpo)'
        : DEVICE_FIXES[name]
    return { ...own, state: name === 'cpu' ? 'failed' : 'absent', value: problem, fix }
  })
  return [version, ...checks]
}

/** Each part for itself, so that one mistake does not hide the next. */
function modelChecks(path: string): Check[] {
  const tried = (name: string, look: () => string, fix: string): Check => {
    try {
      return { area: 'model', name, state: 'ok', value: look() }
    } catch (error) {
      if (!(error instanceof UserError) && !(error instanceof Error && 'syscall' in error)) throw error
      return { area: 'model', name, state: 'failed', value: messageOf(error), fix }
    }
  }
  const parameters = (): number => {
    const { config } = loadConfig(path)
    return [...tensorShapes(families[config.family], config).values()].reduce(
      (sum, shape) => sum + elementCount(shape),
      0,
    )
  }
  const family = () => `${loadConfig(path).config.family}, ${millions(parameters())} parameters`
  const configuration = tried('configuration', family, MODEL_FIX)
  if (configuration.state === 'failed') return [configuration]
  return [
    configuration,
    tried('weights', () => countTensors(path), MODEL_FIX),
    tried('tokenizer', () => `${loadTokenizer(path).vocabularySize} tokens`, MODEL_FIX),
    tried('memory for it', () => compareMemory(4 * parameters()), 'a smaller model, or a machine with more memory'),
  ]
}

const MODEL_FIX = 'a folder with config.json, model.safetensors (or one .gguf file) and tokenizer.json'

const millions = (count: number): string => `${(count / 1e6).toPrecision(3)} M`

function countTensors(path: string): string {
  const source = openWeights(path)
  try {
    return `${source.names.size} tensors in ${source.path}`
  } finally {
    source.close()
  }
}

/** @throws UserError where the weights alone are more than there is. */
function compareMemory(needed: number): string {
  const { free } = usableMemory()
  const text = `${(needed / 1e9).toFixed(2)} GB for the weights in float32, ${(free / 1e9).toFixed(2)} GB free`
  if (needed > free) throw new UserError(text)
  return text
}

/** Prints a line for each: a name and a version, or a name alone. */
const VERSIONS = `
import importlib.metadata as m, platform
print('python', platform.python_version())
for name in ('torch', 'transformers', 'trl', 'peft'):
    try: print(name, m.version(name))
    except m.PackageNotFoundError: print(name)
`

/** Python is needed for nothing here; exported rows are trained on with it. */
async function pythonCheck(environment: Environment): Promise<Check> {
  const command = environment['STEPDPO_PYTHON'] || 'python3'
  const own = { area: 'python', name: command } as const
  const output = await new Promise<string>((resolve) => {
    execFile(command, ['-c', VERSIONS], { timeout: 20_000 }, (error, stdout) => resolve(error ? '' : stdout))
  })
  const lines = output.split('\n').filter((line) => line !== '')
  const missing = lines.filter((line) => !line.includes(' '))
  if (lines.length > 0 && missing.length === 0) return { ...own, state: 'ok', value: lines.join(', ') }
  const install = lines.length === 0 ? 'install Python 3 (or set STEPDPO_PYTHON), then ' : ''
  return {
    ...own,
    state: 'absent',
    value: lines.map((line) => (line.includes(' ') ? line : `no ${line}`)).join(', ') || 'none that runs',
    fix: `only for --engine torch: ${install}pip install ${missing.join(' ') || 'torch transformers trl peft'}`,
  }
}

/** Variables that are told of in any case, and what they are for. */
const VARIABLES: Readonly<Record<string, string>> = {
  OPENAI_API_KEY: 'for judges gpt-… and o…: export OPENAI_API_KEY=…',
  ANTHROPIC_API_KEY: 'for judges claude-…: export ANTHROPIC_API_KEY=…',
}

/** Whether keys and settings of the Hub are set. Their values are nobody's business. */
function variableChecks(environment: Environment): Check[] {
  const others = Object.keys(environment).filter(
    (name) => /^HF_\w+$|^\w+_API_KEY$/.test(name) && !(name in VARIABLES) && name !== 'HF_TOKEN',
  )
  const variables = [...Object.keys(VARIABLES), ...others.sort()].map((name): Check => {
    const own = { area: 'environment', name } as const
    if (environment[name]) return { ...own, state: 'ok', value: 'set' }
    return {
      ...own,
      state: 'absent',
      value: 'not set',
      fix: VARIABLES[name] ?? 'it is empty: give it a value, or unset it',
    }
  })
  return [tokenCheck(environment), ...variables]
}

/** Where the token of the Hub is; never what it is. */
function tokenCheck(environment: Environment): Check {
  const own = { area: 'environment', name: 'token of the Hub' } as const
  const fix = `for private and gated repositories: set HF_TOKEN, or write it to ${tokenPath(environment)}`
  try {
    const place = findToken(environment)
    if (place !== undefined) return { ...own, state: 'ok', value: `by ${place}` }
    return { ...own, state: 'absent', value: 'none', fix }
  } catch (error) {
    return { ...own, state: 'absent', value: messageOf(error), fix }
  }
}

/** Whether something answers, be it with a refusal. No key is sent. */
async function networkChecks(environment: Environment): Promise<Check[]> {
  const places = [
    environment['HF_ENDPOINT'] || 'https://huggingface.co',
    ...(environment['OPENAI_API_KEY'] ? [environment['OPENAI_BASE_URL'] || 'https://api.openai.com/v1'] : []),
    ...(environment['ANTHROPIC_API_KEY'] ? [environment['ANTHROPIC_BASE_URL'] || 'https://api.anthropic.com'] : []),
  ]
  return Promise.all(
    places.map(async (address): Promise<Check> => {
      // Without user, password and query, which may be secret.
      const name = URL.canParse(address) ? new URL(address).host : 'an address that is none'
      const own = { area: 'network', name } as const
      const fix = 'check network, proxy and the address; local models and `arithmetic` need none'
      try {
        const { status } = await fetchBy(environment)(address, { method: 'HEAD', signal: AbortSignal.timeout(10_000) })
        return { ...own, state: 'ok', value: `answers (${status})` }
      } catch (error) {
        const cause = error instanceof Error && error.cause !== undefined ? `: ${messageOf(error.cause)}` : ''
        return { ...own, state: 'absent', value: `${messageOf(error)}${cause}`, fix }
      }
    }),
  )
}
