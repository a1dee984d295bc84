/** @file `stepdpo data inspect`: what a data set holds and what its pairs would teach. */
import type { Command } from 'commander'
import { inspectSchema } from '../recipe/command-settings.ts'
import { addFlags } from './flags.ts'
import { inspectionJson, inspectionLines } from './inspection.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { wantsColours } from './terminal.ts'

/** `data inspect PATH --flag …`: the path may stand without its flag. */
function withPath(args: readonly string[]): readonly string[] {
  const [first, ...others] = args
  const isPath = first !== undefined && !first.startsWith('--') && !/^\w+=/.test(first)
  return isPath ? ['--dataset_path', first, ...others] : args
}

export function addDataCommand(program: Command): void {
  const data = program.command('data').description('look at data sets')
  const command = data
    .command('inspect')
    .usage('PATH [options]')
    .description('format, counts, lengths, drops by reason, end-of-turn audit and rendered examples of a data set')
  addFlags(command, inspectSchema).action(async () => {
    const settings = parseSettings(inspectSchema, withPath(command.args), readConfig(command.opts()['config']))
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
