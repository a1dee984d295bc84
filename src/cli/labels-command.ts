/** @file `stepdpo labels`: what people said of steps, for other programs and against the judge. */
import type { Command } from 'commander'
import type { Estimate } from '../data/dashboard.ts'
import type { JudgeFigures } from '../data/dashboard-reports.ts'
import { labelsExportSchema, labelsStatsSchema } from '../recipe/view-settings.ts'
import { addFlags } from './flags.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { printable } from './width.ts'

export function addLabelsCommand(program: Command): void {
  const labels = program.command('labels').description('what people said of steps in `stepdpo view`')
  addExportCommand(labels)
  addStatsCommand(labels)
}

function addExportCommand(labels: Command): void {
  const command = labels.command('export').description("the labels of a folder's runs as rows of PRM800K or TRL")
  addFlags(command, labelsExportSchema).action(async () => {
    const settings = parseSettings(labelsExportSchema, command.args, readConfig(command.opts()['config']))
    const { exportLabels } = await import('../server/labels-export.ts')
    const { written, leftOut } = await exportLabels(settings.runs, settings.format, settings.output_path)
    const others = leftOut === 0 ? '' : `, ${leftOut} left out: flagged, or of a bad problem`
    process.stdout.write(`labels   ${written} solutions in ${settings.output_path}${others}\n`)
  })
}

/** What a judge and people say, by run. */
interface RunAgreement {
  readonly run: string
  readonly judges: readonly Pick<JudgeFigures, 'judge' | 'agreement' | 'confusion'>[]
}

function addStatsCommand(labels: Command): void {
  const command = labels.command('stats').description('how far judges and people agree, with 95 % intervals')
  addFlags(command, labelsStatsSchema).action(async () => {
    const settings = parseSettings(labelsStatsSchema, command.args, readConfig(command.opts()['config']))
    const agreements = await measure(settings.runs)
    if (settings.json) process.stdout.write(`${JSON.stringify(agreements)}\n`)
    else for (const agreement of agreements) process.stdout.write(`${linesOf(agreement).join('\n')}\n`)
  })
}

async function measure(folder: string): Promise<RunAgreement[]> {
  const { openRuns } = await import('../server/runs.ts')
  const { resolveRoot } = await import('../server/run-files.ts')
  const { judgesReply } = await import('../server/judge-view.ts')
  const runs = openRuns(resolveRoot(folder), { who: '', now: () => new Date() })
  const agreements: RunAgreement[] = []
  for (const run of runs.list()) {
    await run.traces.refresh(Number.POSITIVE_INFINITY)
    const { judges } = await judgesReply(run)
    const known = judges.map(({ judge, agreement, confusion }) => ({ judge, agreement, confusion }))
    agreements.push({ run: run.name, judges: known })
  }
  return agreements
}

function linesOf({ run, judges }: RunAgreement): string[] {
  const lines = judges.map(({ judge, agreement: { steps, same, kappa } }) =>
    printable(`  ${judge}: ${steps} steps, same ${show(same)}, κ ${show(kappa)}`),
  )
  return [printable(run), ...(lines.length === 0 ? ['  no judge'] : lines)]
}

function show({ value, low, high }: Estimate): string {
  return value === null ? 'not defined' : `${value.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`
}
