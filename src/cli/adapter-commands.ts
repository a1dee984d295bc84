/** @file `stepdpo merge`, `check-adapter` and `modelfile`: what to do with a trained adapter. */
import type { Command } from 'commander'
import { UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { checkAdapterSchema, mergeSchema, modelfileSchema } from '../recipe/adapter-settings.ts'
import { checkLines, mergeLines } from './adapter-lines.ts'
import { addFlags } from './flags.ts'
import { fetchNames } from './hub-view.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}

export function addMergeCommand(program: Command): void {
  const command = program
    .command('merge')
    .description('write a whole model: the base model with an adapter in its weights')
  addFlags(command, mergeSchema).action(async () => {
    const settings = await fetchNames(parseSettings(mergeSchema, command.args, readConfig(command.opts()['config'])))
    const { merge } = await import('../recipe/merge.ts')
    const isWatched = process.stderr.isTTY && !settings.json
    const report = merge(settings, (done, total) => {
      if (isWatched) process.stderr.write(`\r${done}/${total} tensors${done === total ? '\n' : ''}`)
    })
    print(settings.json ? [JSON.stringify(report)] : mergeLines(report))
  })
}

export function addCheckAdapterCommand(program: Command): void {
  const command = program
    .command('check-adapter')
    .description('measure what an adapter changes: logits and answers with it against without')
  addFlags(command, checkAdapterSchema).action(async () => {
    const settings = await fetchNames(
      parseSettings(checkAdapterSchema, command.args, readConfig(command.opts()['config'])),
    )
    const { checkAdapter } = await import('../recipe/check-adapter.ts')
    const check = await checkAdapter(settings).catch((error: unknown) => {
      if (settings.json && error instanceof UserError) print([JSON.stringify({ problem: error.message })])
      throw error
    })
    print(settings.json ? [JSON.stringify(check)] : checkLines(check, process.stdout.columns || undefined))
    if (check.problem !== null) throw new UserError(`${settings.adapter}: ${check.problem}`)
  })
}

export function addModelfileCommand(program: Command): void {
  const command = program
    .command('modelfile')
    .description('a Modelfile for Ollama, of a model or of a model with an adapter')
  addFlags(command, modelfileSchema).action(async () => {
    const settings = await fetchNames(
      parseSettings(modelfileSchema, command.args, readConfig(command.opts()['config'])),
    )
    const { modelfile } = await import('../recipe/modelfile.ts')
    const text = modelfile(settings)
    if (settings.output_path === undefined) process.stdout.write(text)
    else writeDurably(settings.output_path, text)
  })
}
