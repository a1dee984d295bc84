/** @file Fetches ONNX Runtime's files for CUDA with the script of its own package. */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { UserError } from '../base/errors.ts'

/**
 * Downloads the CUDA provider from nuget.org into the installed onnxruntime-node, some 400 MB. What the script says goes
 * to standard error.
 * @throws UserError where there is none for this system, or the script fails.
 */
export async function installCuda(): Promise<void> {
  const system = `${process.platform}/${process.arch}`
  if (system !== 'linux/x64')
    throw new UserError(`--install_cuda: expected linux/x64, found ${system}: there are no files for it`)
  const root = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
  const command = [join(root, 'script', 'install'), '--onnxruntime-node-install=true']
  const code = await new Promise<number | null>((resolve) => {
    // Its output is not ours: standard output may be read as JSON.
    spawn(process.execPath, command, { stdio: ['ignore', 2, 2] }).on('close', resolve)
  })
  if (code !== 0) throw new UserError(`--install_cuda: node ${command.join(' ')} ended with ${code}: see above`)
}
