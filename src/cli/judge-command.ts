/** @file `stepdpo judge`: verdicts for every step of the solutions of a file. */
import type { Command } from 'commander'
import { judgeSchema } from '../recipe/judge-settings.ts'
import { addFlags } from './flags.ts'
import { fetchNames } from './hub-view.ts'
import { showJudging } from './judge-run.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'

export function addJudgeCommand(program: Command): void {
  const command = program
    .command('judge')
    .description('have a language model, a local model or a rule score every step of solutions')
  addFlags(command, judgeSchema).action(async () => {
    const settings = await fetchNames(parseSettings(judgeSchema, command.args, readConfig(command.opts()['config'])))
    const { judgeFile } = await import('../recipe/judge.ts')
    await showJudging((world) => judgeFile(settings, world), settings)
  })
}
