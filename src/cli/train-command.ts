/** @file `stepdpo train`: settings in, events out to the terminal. */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { type TrainSettings, trainSchema } from '../recipe/config.ts'
import { systemWorld } from '../recipe/world.ts'
import { addFlags } from './flags.ts'
import { fetchNames } from './hub-view.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { askPerson, isStageEvent } from './run-command.ts'
import { INTERRUPTED, stopOnSignals } from './signals.ts'
import { isLiveOutput, openStageView } from './stage-lines.ts'
import { openView, systemClock } from './terminal.ts'
import type { View } from './view.ts'

export function addTrainCommand(program: Command): void {
  const command = program
    .command('train')
    .description('train a model on step preferences (Step-DPO), with LoRA or all its weights')
  addFlags(command, trainSchema).action(async () => {
    const settings = await fetchNames(parseSettings(trainSchema, command.args, readConfig(command.opts()['config'])))
    await runTrain(settings)
  })
}

/** Plain lines in the folder of the run, beside what the terminal shows. */
function openLog(folder: string, settings: TrainSettings): View {
  const path = join(folder, 'stepdpo', 'run.log')
  return openView({
    stream: { write: (text) => appendFileSync(path, text) },
    environment: {},
    clock: systemClock,
    host: process,
    logFormat: 'text',
    loggingSteps: settings.logging_steps,
  })
}

async function runTrain(settings: TrainSettings): Promise<void> {
  // Loaded here, so that --help does not wait for the engine.
  const { trainOnAny } = await import('../recipe/train-any.ts')
  const view = openView({
    stream: process.stdout,
    environment: process.env,
    clock: systemClock,
    host: process,
    logFormat: settings.json ? 'json' : 'text',
    loggingSteps: settings.logging_steps,
  })
  const stopping = 'stopping after this update; Ctrl-C again ends at once, without saving'
  const signals = stopOnSignals(process, () => view.show({ type: 'warning', message: stopping }))
  const stages = openStageView(process.stdout, { json: settings.json, isLive: isLiveOutput() })
  let log: View | undefined
  try {
    for await (const event of trainOnAny(settings, systemWorld(signals.signal), askPerson)) {
      if (isStageEvent(event)) {
        stages.show(event)
        if (event.type === 'stage-stopped') process.exitCode = INTERRUPTED
        continue
      }
      if (event.type === 'run-begin') log = openLog(event.folder, settings)
      log?.show(event)
      view.show(event)
      if (event.type === 'run-interrupted') process.exitCode = INTERRUPTED
    }
  } finally {
    log?.close()
    view.close()
    signals.release()
  }
}
