/** @file What stands in the tabs of a run: records, usage, checkpoints, log. */
import type { CheckpointInfo, LogLine, UsageRow } from '../../src/data/dashboard.ts'
import { age, bytes, count, dollars, number, plain } from '../format.ts'
import { Empty, Table } from '../parts.tsx'

interface RecordsProps {
  readonly of: Readonly<Record<string, unknown>> | null
  readonly missing: string
}

export function Records({ of, missing }: RecordsProps) {
  const rows = Object.entries(of ?? {})
  if (rows.length === 0) return <Empty title={missing} />
  return (
    <Table head={['Name', 'Value']}>
      {rows.map(([name, value]) => (
        <tr key={name}>
          <th scope="row">
            <code>{name}</code>
          </th>
          <td class="value">{plain(value)}</td>
        </tr>
      ))}
    </Table>
  )
}

const usageHead = [
  'Purpose',
  'Model',
  'Calls',
  'Failed',
  'Unknown',
  'Tokens in',
  'Tokens out',
  'Cost',
  'Seconds a reply',
]

export function Usage({ rows }: { readonly rows: readonly UsageRow[] }) {
  if (rows.length === 0) {
    return <p class="muted">Nobody was asked over a network: rules and local models cost nothing.</p>
  }
  return (
    <Table head={usageHead} numbersFrom={2}>
      {rows.map((row) => (
        <tr key={`${row.purpose}/${row.model}/${row.promptVersion}`}>
          <td>{row.purpose}</td>
          <td>{row.model}</td>
          <td class="n">{count(row.calls)}</td>
          <td class="n">{count(row.failures)}</td>
          <td class="n">{count(row.unknown)}</td>
          <td class="n">{count(row.promptTokens)}</td>
          <td class="n">{count(row.completionTokens)}</td>
          <td class="n">{dollars(row.cost)}</td>
          <td class="n">{number(row.seconds)}</td>
        </tr>
      ))}
    </Table>
  )
}

export function Checkpoints({ of }: { readonly of: readonly CheckpointInfo[] }) {
  if (of.length === 0) return <Empty title="No checkpoint yet">`--save_steps` says how often there is one.</Empty>
  return (
    <Table head={['Checkpoint', 'Update', '', 'Size', 'Changed']}>
      {of.map(({ name, update, isBest, bytes: size, changed }) => (
        <tr key={name}>
          <td>
            <code>{name}</code>
          </td>
          <td class="n">{count(update)}</td>
          <td>{isBest && <span class="tag">best</span>}</td>
          <td class="n">{bytes(size)}</td>
          <td class="n" title={changed}>
            {age(changed, new Date())}
          </td>
        </tr>
      ))}
    </Table>
  )
}

export function Log({ lines }: { readonly lines: readonly LogLine[] }) {
  if (lines.length === 0) return <Empty title="Nothing has happened yet" />
  return (
    <section class="log" aria-label="Log, the newest first">
      {lines.toReversed().map((line, index) => {
        const { time, type, ...rest } = line
        return (
          <div key={index}>
            <time>{time.slice(11, 19)}</time> <b>{type}</b>{' '}
            <span class="muted">
              {Object.entries(rest)
                .map(([name, value]) => `${name} ${plain(value)}`)
                .join(' · ')}
            </span>
          </div>
        )
      })}
    </section>
  )
}
