/** @file `stepdpo download`: files of the Hugging Face Hub into its cache, or into a folder. */
import type { Command } from 'commander'
import { UserError } from '../base/errors.ts'
import { openHub } from '../interop/hub-access.ts'
import { downloadSchema } from '../recipe/hub-settings.ts'
import { addFlags } from './flags.ts'
import { hubNotices, hubView } from './hub-view.ts'
import { parseSettings } from './parse-settings.ts'
import { withPlaces } from './places.ts'
import { readConfig } from './read-config.ts'
import { INTERRUPTED, stopOnSignals } from './signals.ts'

export function addDownloadCommand(program: Command): void {
  const command = program
    .command('download')
    .usage('org/name [FILES…] [options]')
    .description('download a model or data set of the Hugging Face Hub; goes on where it was stopped')
  addFlags(command, downloadSchema).action(async () => {
    const args = withPlaces(command.args, ['repo'], 'files')
    const settings = parseSettings(downloadSchema, args, readConfig(command.opts()['config']))
    const { download } = await import('../recipe/download.ts')
    const signals = stopOnSignals(process, () => process.stderr.write('\nstopped; the same command goes on\n'))
    try {
      const show = settings.json ? hubNotices(process.stderr) : hubView()
      const tell = (message: string): void => show({ type: 'hub-notice', message })
      const fetched = await download(settings, openHub(process.env, signals.signal, { tell }), show)
      process.stdout.write(`${settings.json ? JSON.stringify(fetched) : fetched.folder}\n`)
    } catch (error) {
      if (!signals.signal.aborted || error instanceof UserError) throw error
      process.exitCode = INTERRUPTED
    } finally {
      signals.release()
    }
  })
}
