/** The budget: no more than the cap, nothing left lying, nobody forgotten. */
import { setMaxListeners } from 'node:events'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { type Budget, chargeOf, createBudget, promptTokensAtMost } from './budget.ts'
import { ChatError, type ChatRequest } from './chat.ts'
import { openLedger } from './ledger.ts'

const freshFolder = folderMaker()
const never = new AbortController().signal
setMaxListeners(0, never)
const openFresh = () => openLedger(join(freshFolder(), 'ledger.jsonl'), { now: () => new Date(0) })
const intentOf = (reserved: number) => ({
  key: 'k',
  model: 'm',
  purpose: 't',
  promptVersion: 'p',
  attempt: 1,
  reserved,
})
const settle = (budget: Budget, id: string, cost: number): Promise<void> =>
  budget.settle({
    type: 'failure',
    id,
    key: 'k',
    run: budget.run,
    cost,
    maybePaid: false,
    usage: null,
    kind: 'network',
    why: '',
  })

test('an ask that does not fit waits for those in flight, and fails only where none is', async () => {
  const ledger = await openFresh()
  const budget = createBudget(ledger, 'run', 100e-9) // 100 nano-dollars
  const first = await budget.admit(intentOf(60), never)
  const second = budget.admit(intentOf(60), never)
  await settle(budget, first, 10)
  const id = await second
  expect(ledger.account('run')).toEqual({ settled: 10, reserved: 60 })
  await settle(budget, id, 60)
  await expect(budget.admit(intentOf(31), never)).rejects.toMatchObject({ facts: { kind: 'budget', maybePaid: false } })
  await settle(budget, await budget.admit(intentOf(30), never), 30)
  expect(ledger.account('run')).toEqual({ settled: 100, reserved: 0 })
  await ledger.close()
})

test('who is stopped while waiting for money leaves the line', async () => {
  const ledger = await openFresh()
  const budget = createBudget(ledger, 'run', 100e-9)
  const first = await budget.admit(intentOf(60), never)
  const stop = new AbortController()
  const second = budget.admit(intentOf(60), stop.signal)
  const third = budget.admit(intentOf(70), never)
  stop.abort()
  await expect(second).rejects.toMatchObject({ facts: { kind: 'stopped' } })
  await settle(budget, first, 0)
  await settle(budget, await third, 0)
  await ledger.close()
})

test('whatever is asked at once, all come to an end, and at no time is more than the cap spent or reserved', async () => {
  const asks = fc.array(
    fc.record({ reserved: fc.integer({ min: 0, max: 60 }), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    { maxLength: 60 },
  )
  await fc.assert(
    fc.asyncProperty(asks, fc.integer({ min: 0, max: 100 }), async (list, cap) => {
      const ledger = await openFresh()
      const budget = createBudget(ledger, 'run', null)
      const capped = { ...createBudget(ledger, 'run', (cap + 0.5) * 1e-9) }
      expect([budget.cap, capped.cap]).toEqual([null, cap])
      let spent = 0
      const refused: number[] = []
      const ask = async ({ reserved, share }: { reserved: number; share: number }): Promise<void> => {
        try {
          const id = await capped.admit(intentOf(reserved), never)
          const account = ledger.account('run')
          expect(account.settled + account.reserved).toBeLessThanOrEqual(cap)
          const cost = Math.floor(reserved * share)
          spent += cost
          await settle(capped, id, cost)
        } catch (error) {
          if (!(error instanceof ChatError)) throw error
          refused.push(reserved)
        }
      }
      await Promise.all(list.map(ask))
      expect(ledger.account('run')).toEqual({ settled: spent, reserved: 0 })
      // Costs only grow: who was refused when nothing was in flight does not fit at the end either.
      for (const reserved of refused) expect(spent + reserved).toBeGreaterThan(cap)
      await ledger.close()
    }),
    { numRuns: 60 },
  )
})

test('a prompt has at most a token for each byte, and what stands around it', () => {
  const request: ChatRequest = {
    messages: [{ role: 'user', content: 'é€😀' }],
    schema: null,
    maxTokens: 5,
    temperature: 0,
    topP: null,
    seed: null,
    topLogprobs: 0,
    sample: 0,
  }
  expect(promptTokensAtMost(request)).toBe(2 + 3 + 4 + 16)
  const withSchema = { ...request, schema: { name: 'a', json: { type: 'object' } } }
  expect(promptTokensAtMost(withSchema)).toBe(25 + 1024 + 2 * '{"name":"a","json":{"type":"object"}}'.length)
})

test('what is charged is what the tokens cost, or the reservation where they are not told', () => {
  const price = { input: 1, cachedInput: 1, output: 2, batchShare: 1 }
  expect(chargeOf({ promptTokens: 3, completionTokens: 4 }, 99, price)).toBe(3000 + 8000)
  for (const promptTokens of [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY]) {
    expect(chargeOf({ promptTokens, completionTokens: 4 }, 99, price)).toBe(99)
  }
  expect(chargeOf(undefined, 99, price)).toBe(99)
  expect(chargeOf({ promptTokens: 3, completionTokens: 4 }, null, null)).toBeNull()
})

test('a cap that is no amount of money is refused', async () => {
  const ledger = await openFresh()
  for (const cap of [Number.NaN, -1, Number.POSITIVE_INFINITY])
    expect(() => createBudget(ledger, 'run', cap)).toThrow('--max_cost')
  await ledger.close()
})
