/** @file What language models were asked for in a run: LLM_USAGE.md for people, llm_usage.jsonl for programs, from the ledger. */
import { join } from 'node:path'
import { writeDurably } from '../base/files.ts'
import { readLedger } from '../judge/ledger.ts'
import { toDollars } from '../judge/prices.ts'

interface UsageLine {
  readonly purpose: string
  readonly model: string
  readonly promptVersion: string
  calls: number
  failures: number
  /** Requests that nobody knows the end of. */
  unknown: number
  promptTokens: number
  completionTokens: number
  /** Nano-dollars; null where a price is not known. */
  cost: number | null
  /** From asking to the reply, of requests that were asked one by one. */
  readonly waits: number[]
}

/** A line for each purpose, model and prompt version of a run. */
async function usageOf(run: string, ledger: string): Promise<UsageLine[]> {
  const lines = new Map<string, UsageLine>()
  const open = new Map<string, { readonly line: UsageLine; readonly asked: number | null }>()
  for await (const record of readLedger(ledger)) {
    if (record.run !== run) continue
    if (record.type === 'intent') {
      const { purpose, model, promptVersion } = record
      const key = JSON.stringify([purpose, model, promptVersion])
      const fresh = { calls: 0, failures: 0, unknown: 0, promptTokens: 0, completionTokens: 0, cost: 0, waits: [] }
      const line = lines.get(key) ?? { purpose, model, promptVersion, ...fresh }
      lines.set(key, line)
      open.set(record.id, { line, asked: record.api === 'batch' ? null : Date.parse(record.time) })
      line.unknown++
      continue
    }
    const request = open.get(record.id)
    if (request === undefined) continue
    const { line, asked } = request
    open.delete(record.id)
    line.unknown--
    line.cost = line.cost === null || record.cost === null ? null : line.cost + record.cost
    const usage = record.type === 'reply' ? record.reply : record.usage
    if (record.type === 'reply') {
      line.calls++
      if (asked !== null) line.waits.push((Date.parse(record.time) - asked) / 1000)
    } else line.failures++
    line.promptTokens += usage?.promptTokens ?? 0
    line.completionTokens += usage?.completionTokens ?? 0
  }
  return [...lines.values()]
}

function showCost(cost: number | null): string {
  return cost === null ? 'price not known' : `$${toDollars(cost).toFixed(4)}`
}

/** Writes both files into `folder`. A run that asked nobody says so. */
export async function writeUsageLog(folder: string, ledger: string, run: string): Promise<void> {
  const lines = await usageOf(run, ledger)
  const rows = lines.map(
    (line) =>
      `| ${line.purpose} | ${line.model} | ${line.promptVersion} | ${line.calls} | ${line.failures} | ${line.unknown} ` +
      `| ${line.promptTokens} | ${line.completionTokens} | ${showCost(line.cost)} |`,
  )
  const table = [
    '| purpose | model | prompt | replies | failed | unknown end | prompt tokens | reply tokens | cost |',
    '|---|---|---|---|---|---|---|---|---|',
    ...rows,
  ]
  const body = lines.length === 0 ? ['No language model was asked over the network in this run.'] : table
  const text = ['# What language models were asked for in this run', '', ...body, '']
  writeDurably(join(folder, 'LLM_USAGE.md'), text.join('\n'))
  const json = lines.map(({ cost, waits, ...line }) => ({
    ...line,
    cost: cost === null ? null : toDollars(cost),
    seconds: waits.length === 0 ? null : waits.reduce((sum, wait) => sum + wait, 0) / waits.length,
  }))
  writeDurably(join(folder, 'llm_usage.jsonl'), json.map((line) => `${JSON.stringify(line)}\n`).join(''))
}
