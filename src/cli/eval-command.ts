/** @file `stepdpo eval`: how well a model solves problems; `eval processbench`: how good a judge is on labelled steps. */
import type { Command } from 'commander'
import { evalSchema } from '../recipe/eval-settings.ts'
import { evalJudgeSchema } from '../recipe/judge-settings.ts'
import { evaluationLines } from './evaluation-lines.ts'
import { addFlags } from './flags.ts'
import { fetchNames } from './hub-view.ts'
import { showJudging } from './judge-run.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { showStages } from './stage-lines.ts'
import { printableText } from './width.ts'

export function addEvalCommand(program: Command): void {
  const command = program.command('eval').description('solve problems with a model, and compare it with another')
  addFlags(command, evalSchema).action(async () => {
    const settings = await fetchNames(parseSettings(evalSchema, command.args, readConfig(command.opts()['config'])))
    const { evaluate } = await import('../recipe/eval.ts')
    const evaluation = await showStages((world) => evaluate(settings, world), settings)
    if (evaluation === undefined) return
    const { text: _, ...facts } = evaluation
    const lines = settings.json
      ? [JSON.stringify(facts)]
      : evaluationLines(evaluation, process.stdout.columns || undefined)
    process.stdout.write(`${lines.join('\n')}\n`)
  })
  addJudgeBenchmark(command)
}

function addJudgeBenchmark(program: Command): void {
  const command = program
    .command('processbench')
    .aliases(['prmbench', 'judge'])
    .description('measure a judge on labelled steps: ProcessBench, PRMBench, MR-GSM8K, BIG-Bench-Mistake, PRM800K')
  addFlags(command, evalJudgeSchema).action(async () => {
    const settings = await fetchNames(
      parseSettings(evalJudgeSchema, command.args, readConfig(command.opts()['config'])),
    )
    const { evalJudge } = await import('../recipe/eval-judge.ts')
    const evaluation = await showJudging((world) => evalJudge(settings, world), settings)
    if (evaluation === undefined) return
    process.stdout.write(settings.json ? `${evaluation.json}\n` : `\n${printableText(evaluation.text)}`)
  })
}
