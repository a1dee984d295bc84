/**
 * @file The Python peers in ../shared/peers, which benchmarks compare with. They are optional: without them, or without
 * Python packages they need, a benchmark says so and measures our side only.
 */
import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { messageOf } from '../src/base/errors.ts'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SHARED = join(ROOT, '..', 'shared')
export const MODEL = join(SHARED, 'models', 'SmolLM2-135M-Instruct')
export const PRM800K = join(SHARED, 'data', 'prm800k', 'phase1_train.jsonl')

const PYTHON = process.env['STEPDPO_PYTHON'] ?? 'python3'
const SCRIPTS = join(SHARED, 'peers')
/** The scripts look for their model and write their output beside themselves, so they run from a copy. */
const HOME = join(ROOT, 'build', 'peers')

export interface Peer {
  /** The folder of the model that the scripts load, in bfloat16; they compute in float32. */
  readonly model: string
  /** The folder of the scripts. */
  readonly scripts: string
  /**
   * Runs one of the scripts, or another by its whole path, and gives what it printed.
   * @throws Error with the last that it complained of.
   */
  run(script: string, args?: readonly string[], environment?: Environment): Promise<string>
}

type Environment = Readonly<Record<string, string>>

async function python(args: readonly string[], environment: Environment = {}): Promise<string> {
  try {
    const env = { ...process.env, HF_HUB_OFFLINE: '1', ...environment }
    return (await promisify(execFile)(PYTHON, [...args], { env, maxBuffer: 1 << 26 })).stdout
  } catch (error) {
    // Python's own last line tells more than the command that failed.
    throw new Error(messageOf(error).trim().split('\n').at(-1), { cause: error })
  }
}

/** Copies the scripts, and makes the model that they load where it is not there. */
async function preparePeer(): Promise<Peer> {
  if (!existsSync(HOME)) {
    const fresh = `${HOME}-${process.pid}`
    try {
      copyScripts(fresh)
      for (const name of ['models', 'data']) symlinkSync(join(SHARED, name), join(fresh, name), 'junction')
      await python([join(fresh, 'peers', 'convert_smollm2.py')])
      renameSync(fresh, HOME)
    } finally {
      rmSync(fresh, { recursive: true, force: true })
    }
  }
  copyScripts(HOME)
  const scripts = join(HOME, 'peers')
  return {
    model: join(scripts, 'build', 'smollm2'),
    scripts,
    run: (script, args = [], environment = {}) => python([resolve(scripts, script), ...args], environment),
  }
}

function copyScripts(home: string): void {
  const folder = join(home, 'peers')
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(SCRIPTS)) {
    if (!name.endsWith('.py')) continue
    rmSync(join(folder, name), { force: true })
    copyFileSync(join(SCRIPTS, name), join(folder, name))
  }
}

/** The peers, or undefined after a line that says why there are none. */
export async function findPeer(modules: readonly string[]): Promise<Peer | undefined> {
  try {
    if (!existsSync(SCRIPTS)) throw new Error('there is no ../shared/peers')
    await python(['-c', `import ${modules.join(', ')}`])
    return await preparePeer()
  } catch (error) {
    console.log(`our side only (set STEPDPO_PYTHON, see bench/README.md): ${messageOf(error)}`)
    return undefined
  }
}
