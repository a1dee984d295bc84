/** @file Alarms among the events of a run. */
import type { RunEvent } from '../data/events.ts'
import type { AlarmWatch } from '../eval/alarms.ts'
import type { LogEntry } from '../train/log.ts'

/** The events, with alarms as the log grows. What a resumed run has logged before is seen, and raises nothing anew. */
export async function* withAlarms<T>(
  events: AsyncGenerator<RunEvent, T>,
  log: readonly LogEntry[],
  watch: AlarmWatch,
): AsyncGenerator<RunEvent, T> {
  for (const entry of log) watch.see(entry)
  let seen = log.length
  for (;;) {
    const next = await events.next()
    if (next.done) return next.value
    yield next.value
    for (; seen < log.length; seen++) {
      for (const { since, ...alarm } of watch.see(log[seen])) yield { type: 'alarm-raised', update: since, ...alarm }
    }
  }
}
