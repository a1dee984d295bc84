/** @file `stepdpo eval processbench`: how good a judge is, on solutions that people have labelled. */
import type { Command } from 'commander'
import { judgeSchema } from '../recipe/judge-settings.ts'
import { systemWorld } from '../recipe/world.ts'
import { addFlags } from './flags.ts'
import { openJudgeView } from './judge-lines.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { INTERRUPTED, stopOnSignals } from './signals.ts'
import { printableText } from './width.ts'

export function addEvalCommand(program: Command): void {
  const command = program
    .command('eval')
    .description('measure judges')
    .command('processbench')
    .aliases(['prmbench', 'judge'])
    .description('measure a judge on labelled steps: ProcessBench, PRMBench, MR-GSM8K, BIG-Bench-Mistake, PRM800K')
  addFlags(command, judgeSchema).action(async () => {
    const settings = parseSettings(judgeSchema, command.args, readConfig(command.opts()['config']))
    const { evalJudge } = await import('../recipe/eval-judge.ts')
    const isLive = process.stdout.isTTY === true && !process.env['CI'] && process.env['TERM'] !== 'dumb'
    const view = openJudgeView(process.stdout, { json: settings.json, isLive })
    const signals = stopOnSignals(process, () => process.stderr.write('\nstopping; what was paid is kept\n'))
    try {
      const events = evalJudge(settings, systemWorld(signals.signal))
      for (let next = await events.next(); ; next = await events.next()) {
        if (next.done) {
          if (next.value !== undefined) {
            const { text, ...evaluation } = next.value
            const json = JSON.stringify({ type: 'evaluation', ...evaluation }, (_, value: unknown) =>
              value instanceof Map ? Object.fromEntries(value) : value,
            )
            process.stdout.write(settings.json ? `${json}\n` : `\n${printableText(text)}`)
          }
          return
        }
        view.show(next.value)
        if (next.value.type === 'judging-stopped') process.exitCode = INTERRUPTED
      }
    } finally {
      signals.release()
    }
  })
}
