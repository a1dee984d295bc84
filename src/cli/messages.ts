/** @file Events as lines of text: what is said once, above the live block or in a log. */
import { basename } from 'node:path'
import type { EventOf, Metrics, RunEvent } from '../data/events.ts'
import { showCompact, showCount, showDuration, showNumber, showRate } from './format.ts'

/** What a person is told of an event, or undefined where the live block shows it. */
export function messageOf(event: RunEvent): string | undefined {
  switch (event.type) {
    case 'rows-dropped':
      return (
        `⚠ ${showCount(event.count)} of ${showCount(event.total)} ${event.what} dropped: ` +
        `${event.reason} (first: ${event.example})`
      )
    case 'run-resumed':
      return `resumed from ${basename(event.folder)}`
    case 'evaluation-end':
      return `eval@${event.update}: ${showEvaluation(event.metrics)}`
    case 'checkpoint-saved':
      return `saved ${basename(event.folder)}${event.best ? ' (best)' : ''}`
    case 'checkpoint-damaged':
      return `⚠ ${event.folder} cannot be resumed from: ${event.reason}`
    case 'warning':
      return `⚠ ${event.message}`
    case 'run-interrupted':
      return `stopped after update ${event.update}, saved ${event.folder}`
    case 'run-end':
      return `finished ${showCount(event.update)} updates in ${showDuration(event.seconds)}: ${event.folder}`
    default:
      return undefined
  }
}

function showEvaluation(metrics: Metrics): string {
  const parts = [
    ['loss', metrics['eval_loss'], 4],
    ['acc', metrics['eval_rewards/accuracies'], 2],
    ['margin', metrics['eval_rewards/margins'], 2],
  ] as const
  return parts
    .flatMap(([name, value, digits]) => (value === undefined ? [] : `${name} ${showNumber(value, digits)}`))
    .join(' ')
}

/** What the live block shows of a beginning run, for a log that has no block. */
export function beginningOf(event: RunEvent): string | undefined {
  switch (event.type) {
    case 'run-begin':
      return `stepdpo train ${event.model} · ${event.adapter} · ${event.data} · ${event.device} · run ${event.run}`
    case 'model-loaded':
      return `model: ${showCompact(event.trainable)} of ${showCompact(event.parameters)} parameters are trained`
    case 'data-loaded':
      return (
        `data: ${showCount(event.pairs)} pairs in ${showCount(event.groups)} groups of ` +
        `${showCount(event.problems)} problems, ${showCount(event.evalGroups)} groups held out`
      )
    default:
      return undefined
  }
}

/** `step=182/500 loss=0.4127 …`, for grep and for programs that read logs. */
export function updateLine({ update, updates, metrics, tokens, seconds }: EventOf<'update-end'>): string {
  const number = (name: string, show: (value: number) => string): string[] =>
    metrics[name] === undefined ? [] : [`${name}=${show(metrics[name])}`]
  return [
    `step=${update}/${updates}`,
    ...number('loss', (loss) => showNumber(loss, 4)),
    ...number('rewards/margins', showNumber),
    ...number('rewards/accuracies', showNumber),
    ...number('learning_rate', showRate),
    ...number('grad_norm', showNumber),
    `tok/s=${showNumber(tokens / seconds)}`,
  ].join(' ')
}
