/** @file `stepdpo eval processbench`: how good a judge is, on solutions that people have labelled. */
import type { Command } from 'commander'
import { evalJudgeSchema } from '../recipe/judge-settings.ts'
import { addFlags } from './flags.ts'
import { showJudging } from './judge-run.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { printableText } from './width.ts'

export function addEvalCommand(program: Command): void {
  const command = program
    .command('eval')
    .description('measure judges')
    .command('processbench')
    .aliases(['prmbench', 'judge'])
    .description('measure a judge on labelled steps: ProcessBench, PRMBench, MR-GSM8K, BIG-Bench-Mistake, PRM800K')
  addFlags(command, evalJudgeSchema).action(async () => {
    const settings = parseSettings(evalJudgeSchema, command.args, readConfig(command.opts()['config']))
    const { evalJudge } = await import('../recipe/eval-judge.ts')
    const evaluation = await showJudging((world) => evalJudge(settings, world), settings)
    if (evaluation === undefined) return
    process.stdout.write(settings.json ? `${evaluation.json}\n` : `\n${printableText(evaluation.text)}`)
  })
}
