/**
 * @file Spends money from a ledger as fast as it can, in a process of its own. Given a folder, a seed, how many runs and
 * how many asks for each, and how long a reply takes. Notes in `sent-SEED` each request that it sends, with what the provider charges for it.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { random } from '../../src/base/random.ts'
import { createBudget } from '../../src/judge/budget.ts'
import { ChatError } from '../../src/judge/chat.ts'
import { openLedger } from '../../src/judge/ledger.ts'
import { toDollars } from '../../src/judge/prices.ts'
import { capOf } from './caps.ts'

Error.stackTraceLimit = 0 // a million refusals

const [folder, seed, runs, asks, replyMs = '0'] = process.argv.slice(2)
const ledger = await openLedger(join(folder, 'ledger.jsonl'), { now: () => new Date() })
process.stdout.write('ready\n')

const signals = Array.from({ length: Number(asks) }, () => new AbortController().signal) // a listener's list is short

/** All asks of a run at once; how many were sent. */
async function spend(run: number): Promise<number> {
  const budget = createBudget(ledger, `run-${run}`, toDollars(capOf(run) + 0.5))
  const source = random(Number(seed), 'spender', run)
  const ask = async (index: number, reserved: number, cost: number): Promise<number> => {
    try {
      const key = `${seed}-${index}`
      const intent = { key, model: 'm', purpose: 'test', promptVersion: 'p', attempt: 1, reserved }
      const id = await budget.admit(intent, signals[index])
      appendFileSync(join(folder, `sent-${seed}`), `${JSON.stringify({ id, run: budget.run, cost })}\n`)
      await (replyMs === '0' ? nextTurn() : delay(Number(replyMs)))
      const usage = null
      await budget.settle({
        type: 'failure',
        id,
        key,
        run: budget.run,
        cost,
        maybePaid: true,
        usage,
        kind: 'timeout',
        why: '',
      })
      return 1
    } catch (error) {
      if (error instanceof ChatError && error.facts.kind === 'budget') return 0
      throw error
    }
  }
  const all = Array.from({ length: Number(asks) }, (_, index) => {
    const reserved = source.below(1000)
    return ask(index, reserved, source.below(3) === 0 ? reserved : source.below(reserved + 1))
  })
  return (await Promise.all(all)).reduce((sum, sent) => sum + sent, 0)
}

let sent = 0
for (let run = 0; run < Number(runs); run += 4) {
  const group = Array.from({ length: Math.min(4, Number(runs) - run) }, (_, index) => spend(run + index))
  for (const count of await Promise.all(group)) sent += count
}
await ledger.close()
process.stdout.write(`${sent}\n`)
