/** @file `stepdpo doctor`: what is there to work with, what is missing, and how to get it. */
import type { Command } from 'commander'
import { UserError } from '../base/errors.ts'
import { type Check, doctorSchema } from '../recipe/doctor-settings.ts'
import { addFlags } from './flags.ts'
import { type Line, paint, type Style, span } from './line.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { wantsColours } from './terminal.ts'
import { displayWidth } from './width.ts'

const MARKS: Readonly<Record<Check['state'], readonly [mark: string, style: Style]>> = {
  ok: ['✓', 'green'],
  absent: ['·', 'dim'],
  failed: ['✗', 'yellow'],
}

/** A line for each check, with the remedy below it. */
export function doctorLines(checks: readonly Check[], colours: boolean): string[] {
  const widest = checks.reduce((most, { name }) => Math.max(most, displayWidth(name)), 0)
  const lines: Line[] = checks.flatMap(({ area, name, state, value, fix }, at): Line[] => {
    const [mark, style] = MARKS[state]
    const title: Line[] = area === checks[at - 1]?.area ? [] : [[], [span(area, 'bold')]]
    const gap = ' '.repeat(widest - displayWidth(name) + 2)
    const remedy: Line[] = fix === undefined ? [] : [[span(`  ${' '.repeat(widest + 2)}→ ${fix}`, 'dim')]]
    return [...title, [span(mark, style), span(` ${name}${gap}${value}`)], ...remedy]
  })
  return lines.slice(1).map((line) => paint(line, colours))
}

export function addDoctorCommand(program: Command): void {
  const command = program
    .command('doctor')
    .description('show what is there to work with, what is missing, and how to get it')
  addFlags(command, doctorSchema).action(async () => {
    const settings = parseSettings(doctorSchema, command.args, readConfig(command.opts()['config']))
    const { cachedModel } = await import('../recipe/hub-names.ts')
    const base_model = settings.base_model && (cachedModel(settings.base_model, process.env) ?? settings.base_model)
    const { examine } = await import('../recipe/doctor.ts')
    const checks = await examine({ ...settings, base_model }, process.env)
    const failed = checks.filter(({ state }) => state === 'failed')
    const colours = process.stdout.isTTY && wantsColours(process.env)
    const lines = settings.json ? [JSON.stringify({ ok: failed.length === 0, checks })] : doctorLines(checks, colours)
    process.stdout.write(`${lines.join('\n')}\n`)
    if (failed.length === 0) return
    throw new UserError(`what is needed and not as it should be: ${failed.map(({ name }) => name).join(', ')}`)
  })
}
