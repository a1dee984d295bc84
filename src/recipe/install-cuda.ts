/** @file Fetches ONNX Runtime's files for CUDA into the installed package. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { syncFolder } from '../base/files.ts'
import { CUDA_LIBRARIES, runtimeFolders, runtimeVersion } from '../engine/probe.ts'
import type { CudaVersion } from './doctor-settings.ts'

type Environment = Readonly<Record<string, string | undefined>>

const fetchers: Readonly<Record<CudaVersion, (environment: Environment) => Promise<void>>> = {
  /** The script of the package knows where they are. */
  cuda12: (environment) =>
    runToEnd(process.execPath, [join(runtimeFolders().root, 'script', 'install'), INSTALL_12], environment),
  cuda13: (environment) => installByPip(runtimeFolders().libraries, environment),
}
const INSTALL_12 = '--onnxruntime-node-install=cuda12'

/**
 * Downloads the CUDA provider, some 250 to 400 MB. What the programs say that do so goes to standard error.
 * @throws UserError where there is none for this system, or it cannot be had.
 */
export async function installCuda(version: CudaVersion, environment: Environment): Promise<void> {
  const system = `${process.platform}/${process.arch}`
  if (system !== 'linux/x64')
    throw new UserError(`--install_cuda: expected linux/x64, found ${system}: there are no files for it`)
  await fetchers[version](environment)
}

/**
 * From the Python package of the same version, by pip, which knows the user's mirrors and proxies and checks hashes. What is
 * not for the Python at hand will do: only libraries are taken.
 */
export async function installByPip(libraries: string, environment: Environment): Promise<void> {
  const python = environment['STEPDPO_PYTHON'] || 'python3'
  // Beside where they go, so that they can be moved there whole.
  const folder = mkdtempSync(join(libraries, '.cuda-'))
  try {
    const wheel = [
      '--only-binary=:all:',
      '--implementation=cp',
      '--python-version=3.12',
      '--platform=manylinux_2_28_x86_64',
    ]
    const wanted = `onnxruntime-gpu==${runtimeVersion()}`
    const pip = ['-m', 'pip', 'install', '--no-deps', '--no-compile', '--no-cache-dir', ...wheel, '--target', folder]
    await runToEnd(python, [...pip, wanted], { PIP_ROOT_USER_ACTION: 'ignore', ...environment })
    const from = join(folder, 'onnxruntime', 'capi')
    const absent = CUDA_LIBRARIES.find((name) => !existsSync(join(from, name)))
    if (absent !== undefined) throw new UserError(`--install_cuda: expected ${absent} in ${wanted}, found none`)
    for (const name of CUDA_LIBRARIES) renameSync(join(from, name), join(libraries, name))
    syncFolder(libraries)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runToEnd(program: string, args: readonly string[], environment: Environment): Promise<void> {
  const code = await new Promise<number | string | null>((resolve) => {
    // Its output is not ours: standard output may be read as JSON.
    spawn(program, args, { stdio: ['ignore', 2, 2], env: environment })
      .on('error', ({ message }) => resolve(message))
      .on('close', resolve)
  })
  if (code === 0) return
  const problem = typeof code === 'string' ? `cannot be started: ${code}` : `ended with ${code}: see above`
  throw new UserError(`--install_cuda: ${program} ${args.join(' ')} ${problem}`)
}
