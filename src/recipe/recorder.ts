/** @file Writes what happens in a run to its folder: all events, the metrics alone, TensorBoard's curves. */
import { hostname } from 'node:os'
import { join } from 'node:path'
import { openLineLog } from '../base/files.ts'
import { encodeEvent, type Metrics, type RunEvent } from '../data/events.ts'
import { openTfEvents, type TfEvents } from '../data/tfevents.ts'
import type { TrainSettings } from './config.ts'
import { openMetricsLog, RUNS, type RunFolder } from './run-folder.ts'
import type { World } from './world.ts'

export interface Recorder {
  record(event: RunEvent): void
  /** Makes everything recorded so far durable. */
  sync(): void
  close(): void
}

function addScalars(curves: TfEvents, update: number, metrics: Metrics): void {
  for (const [name, value] of Object.entries(metrics)) {
    curves.scalar(name.startsWith('eval_') ? `eval/${name.slice(5)}` : `train/${name}`, value, update)
  }
  curves.flush()
}

/** Opens the logs of a run that goes on after `update`. */
export function openRecorder(folder: RunFolder, settings: TrainSettings, update: number, world: World): Recorder {
  const events = openLineLog(folder.own('events.jsonl'))
  const metrics = openMetricsLog(folder, update)
  const now = (): number => world.now().getTime()
  const curves = settings.report_to.includes('tensorboard')
    ? openTfEvents(join(folder.path, RUNS), { host: hostname(), pid: process.pid, now, firstStep: update + 1 })
    : undefined
  return {
    record: (event) => {
      events.append(encodeEvent(event, world.now()))
      if (event.type !== 'update-end' && event.type !== 'evaluation-end') return
      metrics.add(event.type === 'update-end' ? 'train' : 'eval', event.update, event.metrics)
      if (curves !== undefined) addScalars(curves, event.update, event.metrics)
    },
    sync: () => {
      events.sync()
      metrics.sync()
    },
    close: () => {
      events.close()
      metrics.close()
      curves?.close()
    },
  }
}
