/** @file `stepdpo pairs`: preference pairs from rollouts. */
import type { Command } from 'commander'
import { pairsSchema } from '../recipe/pairs-settings.ts'
import { addFlags } from './flags.ts'
import { fetchNames } from './hub-view.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { showStages } from './stage-lines.ts'

export function addPairsCommand(program: Command): void {
  const command = program
    .command('pairs')
    .description('judge rollouts, find first errors and better steps, and write preference pairs')
  addFlags(command, pairsSchema).action(async () => {
    const settings = await fetchNames(parseSettings(pairsSchema, command.args, readConfig(command.opts()['config'])))
    const { makePairs } = await import('../recipe/pairs.ts')
    await showStages((world) => makePairs(settings, world), settings)
  })
}
