/** @file `stepdpo generate`: solutions of a file's questions, or the model's answer to one prompt as it is decoded. */
import type { Command } from 'commander'
import { UsageError } from '../base/errors.ts'
import { type GenerateSettings, generateSchema } from '../recipe/generate-settings.ts'
import { systemWorld } from '../recipe/world.ts'
import { addFlags } from './flags.ts'
import { fetchNames } from './hub-view.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { showStages } from './stage-lines.ts'
import { printableText } from './width.ts'

export function addGenerateCommand(program: Command): void {
  const command = program
    .command('generate')
    .description('sample step-by-step solutions of questions, or answer one --prompt')
  addFlags(command, generateSchema).action(async () => {
    const settings = await fetchNames(parseSettings(generateSchema, command.args, readConfig(command.opts()['config'])))
    const { dataset_path, prompt } = settings
    if ((dataset_path === undefined) === (prompt === undefined)) {
      throw new UsageError('say --dataset_path FILE for many prompts, or --prompt TEXT for one')
    }
    if (dataset_path !== undefined) {
      const { generateFile } = await import('../recipe/generate-file.ts')
      await showStages((world) => generateFile({ ...settings, dataset_path }, world), settings)
    } else if (prompt !== undefined) await answerPrompt({ ...settings, prompt })
  })
}

async function answerPrompt(settings: GenerateSettings & { readonly prompt: string }): Promise<void> {
  const { generate, samplePrompt } = await import('../recipe/generate.ts')
  const { servedModel } = await import('../recipe/policy.ts')
  const isServed = servedModel(settings.base_model) !== undefined
  if (isServed || settings.num_samples > 1 || (settings.temperature ?? 0) > 0) {
    for await (const { request, text, ids, finish, logps } of samplePrompt(settings, systemWorld())) {
      const line = JSON.stringify({ sample: request.sample, ids, text, finish, ...(logps === null ? {} : { logps }) })
      process.stdout.write(settings.json ? `${line}\n` : `${printableText(text)}\n`)
    }
    return
  }
  const ids: number[] = []
  let text = ''
  const pieces = generate(settings)
  for (;;) {
    const piece = await pieces.next()
    if (piece.done) {
      const line = settings.json ? JSON.stringify({ prompt_ids: piece.value, ids, text }) : ''
      process.stdout.write(`${line}\n`)
      return
    }
    ids.push(...piece.value.ids)
    text += piece.value.text
    if (!settings.json) process.stdout.write(printableText(piece.value.text))
  }
}
