/** @file `stepdpo estimate`: what a run would take in memory and time, before it is begun. */
import type { Command } from 'commander'
import { UserError } from '../base/errors.ts'
import { trainSchema } from '../recipe/config.ts'
import type { Estimate } from '../recipe/estimate.ts'
import { addFlags } from './flags.ts'
import { showCompact, showCount, showDuration, showGigabytes } from './format.ts'
import { fetchNames } from './hub-view.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'
import { tableLines } from './table.ts'

const PARTS: { readonly [P in keyof Estimate['memory']]: string } = {
  program: 'the program itself',
  weights: 'weights, as they are kept',
  learning: 'what learns: values, gradients, moments',
  reference: 'a frozen copy as the reference',
  decoded: 'stored weights in use, as float32',
  activations: 'activations of the largest row',
  programs: 'between products (ONNX Runtime)',
}

function timeText({ seconds, seconds_per_update }: Estimate): string {
  if (seconds === null || seconds_per_update === null) return 'how long it takes is not tried'
  return `${seconds_per_update.toFixed(1)} s an update, ${showDuration(seconds)} in all, without evaluation`
}

export function estimateLines(estimate: Estimate): string[] {
  const { memory, peak, free, limit } = estimate
  const rows = Object.entries(PARTS).flatMap(([part, name]) => {
    const bytes = Object.entries(memory).find(([key]) => key === part)?.[1] ?? 0
    return bytes === 0 ? [] : [[name, showGigabytes(bytes)]]
  })
  const kept = estimate.gradient_checkpointing ? 'layers computed twice' : 'products kept'
  return [
    `${estimate.base_model}: ${showCompact(estimate.trained)} of ${showCompact(estimate.parameters)} parameters are trained`,
    '',
    ...tableLines({ head: ['memory', ''], rows: [...rows, ['peak', showGigabytes(peak)]] }),
    `${showGigabytes(free)} of ${showGigabytes(limit)} are free now`,
    '',
    `${showCount(estimate.groups)} groups, ${showCount(estimate.updates)} updates of ` +
      `${showCount(Math.round(estimate.tokens_per_update))} tokens in ${estimate.rows_per_update.toFixed(1)} rows, ` +
      `the largest of ${showCount(estimate.largest_row)} tokens (${kept})`,
    `${timeText(estimate)}; ${showGigabytes(estimate.checkpoint_bytes)} a checkpoint`,
    '',
    estimate.fits ? 'It fits.' : 'It does not fit into what is free.',
    ...estimate.advice.map((line) => `→ ${line}`),
  ]
}

export function addEstimateCommand(program: Command): void {
  const command = program
    .command('estimate')
    .description('what a run of train would take in memory and time, before anything is loaded')
  addFlags(command, trainSchema).action(async () => {
    const settings = await fetchNames(parseSettings(trainSchema, command.args, readConfig(command.opts()['config'])))
    const { estimate } = await import('../recipe/estimate.ts')
    const found = await estimate(settings)
    process.stdout.write(`${(settings.json ? [JSON.stringify(found)] : estimateLines(found)).join('\n')}\n`)
    if (!found.fits) throw new UserError('it does not fit')
  })
}
