/** @file Runs judging and shows it, for the commands that judge. */
import type { JudgeEvent } from '../data/judge-events.ts'
import { systemWorld, type World } from '../recipe/world.ts'
import { openJudgeView } from './judge-lines.ts'
import { INTERRUPTED, stopOnSignals } from './signals.ts'

/** Shows events until they end, and gives what they end with. Ctrl-C stops them. */
export async function showJudging<T>(
  start: (world: World) => AsyncGenerator<JudgeEvent, T>,
  { json }: { readonly json: boolean },
): Promise<T> {
  const isLive = process.stdout.isTTY === true && !process.env['CI'] && process.env['TERM'] !== 'dumb'
  const view = openJudgeView(process.stdout, { json, isLive })
  const signals = stopOnSignals(process, () => process.stderr.write('\nstopping; what was paid is kept\n'))
  try {
    const events = start(systemWorld(signals.signal))
    for (;;) {
      const next = await events.next()
      if (next.done) return next.value
      view.show(next.value)
      if (next.value.type === 'judging-stopped') process.exitCode = INTERRUPTED
    }
  } finally {
    signals.release()
  }
}
