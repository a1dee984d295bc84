/** @file The flags of a command as its zod schema declares them, told to commander, which dispatches and helps. */
import { type Command, Help, Option } from 'commander'
import type { z } from 'zod'
import { UsageError } from '../base/errors.ts'
import { acceptsBare, choicesOf, type Kind, type Setting, settingsOf } from '../recipe/settings.ts'

/**
 * Makes a command take the settings of `schema`: its help lists them, and its action hands `command.args` to
 * `parseSettings`. `--config` is commander's, as its file is read before.
 */
export function addFlags(command: Command, schema: z.ZodObject): Command {
  const options = settingsOf(schema).map(helpOption)
  return command
    .option('--config <file>', 'settings from a YAML file; flags outweigh it')
    .allowUnknownOption()
    .allowExcessArguments()
    .configureHelp({ visibleOptions: (shown) => [...options, ...new Help().visibleOptions(shown)] })
}

/**
 * Makes commander throw UsageError instead of printing and exiting with code 1. Call it on the program before commands
 * are added. Also keeps the program from swallowing options that stand behind a command's name.
 */
export function throwUsageErrors(program: Command): Command {
  return program
    .enablePositionalOptions()
    .configureOutput({ outputError: () => {} })
    .exitOverride((error) => {
      if (error.exitCode === 0) return
      const isBare = error.code === 'commander.help'
      throw new UsageError(isBare ? 'expected a command' : error.message.replace(/^error: /, ''))
    })
}

function helpOption(setting: Setting): Option {
  const isBare = acceptsBare(setting)
  const value = [...new Set(setting.kinds.map(placeholder))].join('|')
  const option = new Option(`--${setting.key} ${isBare ? `[${value}]` : `<${value}>`}`, setting.description)
  option.helpGroup(`${setting.group}:`)
  const choices = setting.kinds.length === 1 ? choicesOf(setting.kinds[0]) : undefined
  if (choices !== undefined) option.choices(choices.map(String))
  if (setting.default !== undefined) option.default(setting.default, showDefault(setting.default))
  return option
}

/** Line ends as they are typed. */
function showDefault(value: unknown): string {
  return String(value ?? 'none').replaceAll('\n', '\\n')
}

function placeholder(kind: Kind): string {
  const choices = choicesOf(kind)
  if (choices !== undefined) return choices.length === 1 ? String(choices[0]) : 'name'
  const names = { string: 'text', number: 'n', integer: 'n', boolean: 'bool', null: 'none', array: 'list' } as const
  return names[kind.name]
}
