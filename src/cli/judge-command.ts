/** @file `stepdpo judge`: verdicts for every step of the solutions of a file. */
import type { Command } from 'commander'
import { judgeSchema } from '../recipe/judge-settings.ts'
import { systemWorld } from '../recipe/world.ts'
import { addFlags } from './flags.ts'
import { openJudgeView } from './judge-lines.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { INTERRUPTED, stopOnSignals } from './signals.ts'

export function addJudgeCommand(program: Command): void {
  const command = program
    .command('judge')
    .description('have a language model, a local model or a rule score every step of solutions')
  addFlags(command, judgeSchema).action(async () => {
    const settings = parseSettings(judgeSchema, command.args, readConfig(command.opts()['config']))
    const { judgeFile } = await import('../recipe/judge.ts')
    const isLive = process.stdout.isTTY === true && !process.env['CI'] && process.env['TERM'] !== 'dumb'
    const view = openJudgeView(process.stdout, { json: settings.json, isLive })
    const signals = stopOnSignals(process, () => process.stderr.write('\nstopping; what was paid is kept\n'))
    try {
      for await (const event of judgeFile(settings, systemWorld(signals.signal))) {
        view.show(event)
        if (event.type === 'judging-stopped') process.exitCode = INTERRUPTED
      }
    } finally {
      signals.release()
    }
  })
}
