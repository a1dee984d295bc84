/** @file `stepdpo push`: an adapter or a model on the Hugging Face Hub. */
import type { Command } from 'commander'
import { UserError } from '../base/errors.ts'
import { showBytes } from '../base/sizes.ts'
import { openHub } from '../interop/hub-access.ts'
import { pushSchema } from '../recipe/hub-settings.ts'
import type { Pushed } from '../recipe/push.ts'
import { addFlags } from './flags.ts'
import { parseSettings } from './parse-settings.ts'
import { withPlaces } from './places.ts'
import { readConfig } from './read-config.ts'
import { INTERRUPTED, stopOnSignals } from './signals.ts'
import { printable } from './width.ts'

function pushLines({ files, commit, url, warnings }: Pushed): string[] {
  const result = commit === null ? `would go to ${url}` : `${url}, commit ${commit}`
  const listed = files.map(({ path, bytes }) => `  ${path}  ${showBytes(bytes)}`)
  return [...listed, result, ...warnings.map((warning) => `⚠ ${warning}`)].map(printable)
}

export function addPushCommand(program: Command): void {
  const command = program
    .command('push')
    .usage('FOLDER org/name [options]')
    .description('upload an adapter or a model to the Hugging Face Hub, with its tokenizer and README')
  addFlags(command, pushSchema).action(async () => {
    const args = withPlaces(command.args, ['folder', 'repo'])
    const settings = parseSettings(pushSchema, args, readConfig(command.opts()['config']))
    const { push } = await import('../recipe/push.ts')
    const signals = stopOnSignals(process, () => process.stderr.write('\nstopped; nothing was committed\n'))
    const tell = (message: string): unknown => process.stderr.write(`${printable(message)}\n`)
    const say = (path: string): unknown => settings.json || process.stderr.write(`uploading ${path}\n`)
    try {
      const pushed = await push(settings, () => openHub(process.env, signals.signal, { tell }), say)
      process.stdout.write(`${settings.json ? JSON.stringify(pushed) : pushLines(pushed).join('\n')}\n`)
    } catch (error) {
      if (!signals.signal.aborted || error instanceof UserError) throw error
      process.exitCode = INTERRUPTED
    } finally {
      signals.release()
    }
  })
}
