/** @file `stepdpo data`: what a data set holds and what its pairs would teach; the same for other trainers. */
import type { Command } from 'commander'
import { convertSchema, inspectSchema } from '../recipe/command-settings.ts'
import { conversionJson, conversionLines } from './conversion.ts'
import { addFlags } from './flags.ts'
import { fetchNames } from './hub-view.ts'
import { inspectionJson, inspectionLines } from './inspection.ts'
import { parseSettings } from './parse-settings.ts'
import { withPlaces } from './places.ts'
import { readConfig } from './read-config.ts'
import { wantsColours } from './terminal.ts'

export function addDataCommand(program: Command): void {
  const data = program.command('data').description('look at data sets, convert them')
  addInspectCommand(data)
  addConvertCommand(data)
}

function addInspectCommand(data: Command): void {
  const command = data
    .command('inspect')
    .usage('PATH [options]')
    .description('format, counts, lengths, drops by reason, end-of-turn audit and rendered examples of a data set')
  addFlags(command, inspectSchema).action(async () => {
    const settings = await fetchNames(
      parseSettings(inspectSchema, withPlaces(command.args, ['dataset_path']), readConfig(command.opts()['config'])),
    )
    const { inspect } = await import('../recipe/inspect.ts')
    const inspection = await inspect(settings)
    if (settings.json) {
      process.stdout.write(`${inspectionJson(inspection)}\n`)
      return
    }
    const { isTTY, columns } = process.stdout
    const colours = isTTY && wantsColours(process.env)
    // A terminal that does not know its size says 0.
    const width = isTTY && columns > 0 ? columns : undefined
    const lines = inspectionLines(inspection, settings, { colours, width })
    process.stdout.write(`${lines.join('\n')}\n`)
  })
}

function addConvertCommand(data: Command): void {
  const command = data
    .command('convert')
    .usage('PATH --to NAME --output_path FILE [options]')
    .description('the pairs or completions of a data set as rows of other trainers')
  addFlags(command, convertSchema).action(async () => {
    const settings = await fetchNames(
      parseSettings(convertSchema, withPlaces(command.args, ['dataset_path']), readConfig(command.opts()['config'])),
    )
    const { convert } = await import('../recipe/convert.ts')
    const conversion = await convert(settings)
    const lines = settings.json ? [conversionJson(conversion)] : conversionLines(conversion, settings)
    process.stdout.write(`${lines.join('\n')}\n`)
  })
}
