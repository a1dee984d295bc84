/** @file The `stepdpo` command: which sub-command runs, and what an error becomes. */
import { Command } from 'commander'
import { messageOf, UsageError, UserError } from '../base/errors.ts'
import { packageVersion } from '../recipe/version.ts'
import { addCheckAdapterCommand, addMergeCommand, addModelfileCommand } from './adapter-commands.ts'
import { addDataCommand } from './data-command.ts'
import { addDoctorCommand } from './doctor-command.ts'
import { addDownloadCommand } from './download-command.ts'
import { addEstimateCommand } from './estimate-command.ts'
import { addEvalCommand } from './eval-command.ts'
import { throwUsageErrors } from './flags.ts'
import { addGenerateCommand } from './generate-command.ts'
import { addJudgeCommand } from './judge-command.ts'
import { addLabelsCommand } from './labels-command.ts'
import { addPairsCommand } from './pairs-command.ts'
import { addPushCommand } from './push-command.ts'
import { addRunCommand } from './run-command.ts'
import { addScoreCommand } from './score-command.ts'
import { stopWithReader } from './signals.ts'
import { addSweepCommand } from './sweep-command.ts'
import { addTrainCommand } from './train-command.ts'
import { addViewCommand } from './view-command.ts'
import { printable } from './width.ts'

/** What the process exits with after an error. */
const EXIT = { failed: 1, usage: 2 } as const

function makeProgram(): Command {
  const program = throwUsageErrors(new Command('stepdpo'))
    .description('Step-DPO in TypeScript: trains language models on step preferences with LoRA, inside Node')
    .version(packageVersion())
  for (const addCommand of [
    addRunCommand,
    addTrainCommand,
    addEstimateCommand,
    addSweepCommand,
    addJudgeCommand,
    addEvalCommand,
    addScoreCommand,
    addGenerateCommand,
    addPairsCommand,
    addDataCommand,
    addMergeCommand,
    addCheckAdapterCommand,
    addModelfileCommand,
    addDownloadCommand,
    addPushCommand,
    addDoctorCommand,
    addViewCommand,
    addLabelsCommand,
  ])
    addCommand(program)
  return program
}

/** What the system refuses, such as a full disk or a file that may not be written, is no bug of ours. */
function isMendable(error: unknown): boolean {
  return error instanceof UserError || (error instanceof Error && 'syscall' in error)
}

/** Tells an error: what a user can mend in words, a bug of ours with its stack. */
function report(error: unknown): number {
  const isBug = error instanceof Error && !isMendable(error)
  const text = isBug ? (error.stack ?? error.message) : `stepdpo: ${messageOf(error)}`
  process.stderr.write(`${text.split('\n').map(printable).join('\n')}\n`)
  if (error instanceof UsageError) process.stderr.write("See 'stepdpo --help' or 'stepdpo COMMAND --help'.\n")
  return error instanceof UsageError ? EXIT.usage : EXIT.failed
}

/** Runs the command line and sets the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  stopWithReader(process)
  try {
    await makeProgram().parseAsync([...args], { from: 'user' })
  } catch (error) {
    process.exitCode = report(error)
  }
}
