/** @file The command as users run it: built from the sources, each call a process of its own. */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { commandFolder } from './programs.ts'

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number | undefined
  kill(signal: NodeJS.Signals): void
  /** Waits until standard output holds the text. */
  said(text: string): Promise<void>
  /** Goes away as a reader, like `head`. */
  closeOutput(): void
  readonly end: Promise<Finished>
}

export interface CommandLine {
  start(args: readonly string[], options?: StartOptions): Running
  /** Runs to the end. */
  run(args: readonly string[], options?: StartOptions): Promise<Finished>
}

export interface StartOptions {
  /** Below the folder in which the command runs. */
  readonly folder?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Of the package. */
  readonly script?: string
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Builds the package into `folder/package`; commands run in `folder`, with a cache of their own and few variables. */
export function buildCommand(folder: string): CommandLine {
  const built = join(folder, 'package')
  mkdirSync(join(built, 'scripts'), { recursive: true })
  symlinkSync(join(commandFolder(), 'dist'), join(built, 'dist'))
  for (const path of ['bin', 'package.json', 'scripts/run_trainer.js']) {
    cpSync(join(ROOT, path), join(built, path), { recursive: true })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(built, 'node_modules'))
  const start: CommandLine['start'] = (args, options = {}) => startProcess(folder, built, args, options)
  return { start, run: (args, options) => start(args, options).end }
}

function startProcess(folder: string, built: string, args: readonly string[], options: StartOptions): Running {
  const { folder: below = '.', environment = {}, script = 'bin/stepdpo.js' } = options
  const child = spawn(process.execPath, [join(built, script), ...args], {
    cwd: join(folder, below),
    env: { PATH: process.env['PATH'], STEPDPO_CACHE: join(folder, 'cache'), ...environment },
  })
  let [stdout, stderr] = ['', '']
  let check = (): void => {}
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
    check()
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  const end = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return {
    pid: child.pid,
    kill: (signal) => {
      child.kill(signal)
    },
    said: (text) =>
      new Promise((resolve, reject) => {
        check = () => {
          if (stdout.includes(text)) resolve()
        }
        check()
        end.then(() => reject(new Error(`ended without '${text}':\n${stdout}${stderr}`)), reject)
      }),
    closeOutput: () => {
      child.stdout.destroy()
    },
    end,
  }
}
