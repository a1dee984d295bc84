/** @file `stepdpo generate`: the model's answer to a prompt, as it is decoded. */
import type { Command } from 'commander'
import { generateSchema } from '../recipe/command-settings.ts'
import { addFlags } from './flags.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { printableText } from './width.ts'

export function addGenerateCommand(program: Command): void {
  const command = program.command('generate').description("decode a model's most likely answer to a prompt")
  addFlags(command, generateSchema).action(async () => {
    const settings = parseSettings(generateSchema, command.args, readConfig(command.opts()['config']))
    const { generate } = await import('../recipe/generate.ts')
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
  })
}
