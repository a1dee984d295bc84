/** @file `stepdpo run`: the whole loop, shown stage by stage. */
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { RunEvent } from '../data/events.ts'
import type { StageEvent } from '../data/stage-events.ts'
import type { LoopResult } from '../recipe/run.ts'
import { type RunSettings, runSchema } from '../recipe/run-settings.ts'
import { systemWorld } from '../recipe/world.ts'
import { evaluationLines } from './evaluation-lines.ts'
import { addFlags } from './flags.ts'
import { fetchNames } from './hub-view.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { INTERRUPTED, stopOnSignals } from './signals.ts'
import { isLiveOutput, openStageView } from './stage-lines.ts'
import { openView, systemClock } from './terminal.ts'
import type { View } from './view.ts'

export function addRunCommand(program: Command): void {
  const command = program
    .command('run')
    .description('the whole loop: sample, judge, pair, train, evaluate; again with --rounds')
  addFlags(command, runSchema).action(async () => {
    const settings = await fetchNames(parseSettings(runSchema, command.args, readConfig(command.opts()['config'])))
    await runAndShow(settings)
  })
}

export async function runAndShow(settings: RunSettings): Promise<LoopResult | undefined> {
  const { runLoop } = await import('../recipe/run.ts')
  const stages = openStageView(process.stdout, { json: settings.json, isLive: isLiveOutput() })
  const signals = stopOnSignals(process, () => process.stderr.write('\nstopping; what was made is kept\n'))
  let training: View | undefined
  const show = (event: StageEvent | RunEvent): void => {
    if (isStageEvent(event)) {
      stages.show(event)
      return
    }
    if (event.type === 'run-begin') training = openTrainView(settings)
    training?.show(event)
    if (event.type === 'run-end' || event.type === 'run-interrupted') {
      training?.close()
      training = undefined
    }
  }
  try {
    const events = runLoop(settings, systemWorld(signals.signal), { confirm: askPerson })
    for (;;) {
      const next = await events.next()
      if (next.done) {
        if (next.value === undefined) process.exitCode = INTERRUPTED
        else showResult(next.value, settings)
        return next.value
      }
      show(next.value)
    }
  } finally {
    training?.close()
    stages.close()
    signals.release()
  }
}

export function isStageEvent(event: StageEvent | RunEvent): event is StageEvent {
  return event.type.startsWith('stage-') || event.type === 'items-dropped'
}

function openTrainView(settings: RunSettings): View {
  return openView({
    stream: process.stdout,
    environment: process.env,
    clock: systemClock,
    host: process,
    logFormat: settings.json ? 'json' : 'text',
    loggingSteps: 10,
  })
}

function showResult({ evaluation, policy }: LoopResult, { json }: RunSettings): void {
  if (json) {
    const { text: _, ...facts } = evaluation ?? { text: '' }
    process.stdout.write(`${JSON.stringify({ type: 'loop-end', policy, evaluation: evaluation && facts })}\n`)
  } else if (evaluation !== null) {
    for (const line of evaluationLines(evaluation, process.stdout.columns || undefined))
      process.stdout.write(`${line}\n`)
  }
}

/** Without a terminal nobody can agree. */
export async function askPerson(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false
  const lines = createInterface({ input: process.stdin, output: process.stdout })
  try {
    const answer = await lines.question(`${question} [y/N] `)
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    lines.close()
  }
}
