/** @file `stepdpo sweep`: training at every point of a grid, the points ranked. */
import type { Command } from 'commander'
import { UsageError } from '../base/errors.ts'
import { type SweepSettings, sweepNames, sweepSchema, sweptSetting } from '../recipe/sweep-settings.ts'
import { flattenSweep } from '../recipe/sweep-yaml.ts'
import { systemWorld } from '../recipe/world.ts'
import { addFlags } from './flags.ts'
import { fetchNames } from './hub-view.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { INTERRUPTED, stopOnSignals } from './signals.ts'
import { isLiveOutput, openStageView } from './stage-lines.ts'
import { nearestName } from './suggest.ts'
import { jsonSweepView, textSweepView } from './sweep-view.ts'

export function addSweepCommand(program: Command): void {
  const command = program
    .command('sweep')
    .description('train at every point of a grid of settings, on one budget and the same data, and rank them')
  addFlags(command, sweepSchema).action(async () => {
    const yaml = readConfig(command.opts()['config'])
    const settings = await fetchNames(parseSettings(sweepSchema, command.args, yaml && flattenSweep(yaml)))
    suggestNames(settings.sweep)
    await runSweep(settings)
  })
}

/** Refuses names that no setting has, with the one that may be meant. */
function suggestNames(items: readonly string[]): void {
  for (const item of items) {
    const [name, ...rest] = item.split('=')
    if (rest.length === 0 || typeof sweptSetting(name) !== 'string') continue
    const nearest = nearestName(name, sweepNames)
    const meant = nearest === undefined ? '' : `; did you mean ${nearest}?`
    throw new UsageError(`--sweep ${name}: ${sweptSetting(name)}${meant}`)
  }
}

async function runSweep(settings: SweepSettings): Promise<void> {
  // Loaded here, so that --help does not wait for the engine.
  const { sweep } = await import('../recipe/sweep.ts')
  const stages = openStageView(process.stdout, { json: false, isLive: isLiveOutput() })
  const view = settings.json
    ? jsonSweepView(process.stdout, () => new Date())
    : textSweepView(process.stdout, stages, settings, () => performance.now() / 1000)
  const stopping = '\nstopping after this update; Ctrl-C again ends at once, without saving\n'
  const signals = stopOnSignals(process, () => process.stderr.write(stopping))
  try {
    for await (const event of sweep(settings, systemWorld(signals.signal))) {
      view.show(event)
      if (event.type === 'sweep-stopped') process.exitCode = INTERRUPTED
    }
  } finally {
    stages.close()
    signals.release()
  }
}
