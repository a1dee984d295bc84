/** @file Events as lines of text: what is said once, above the live block or in a log. */
import { basename } from 'node:path'
import type { EventOf, Metrics, RunEvent } from '../data/events.ts'
import { showCompact, showCount, showDuration, showNumber, showRate } from './format.ts'

/** What a person is told of an event, or undefined where the live block shows it. */
export function messageOf(event: RunEvent): string | undefined {
  switch (event.type) {
    case 'rows-dropped':
      return droppedLine(event)
    case 'run-resumed':
      return `resumed from ${basename(event.folder)}`
    case 'evaluation-end':
      return `eval@${event.update}: ${showEvaluation(event.metrics)}`
    case 'checkpoint-saved':
      return `saved ${basename(event.folder)}${event.best ? ' (best)' : ''}`
    case 'checkpoint-damaged':
      return `⚠ ${event.folder} cannot be resumed from: ${event.reason}`
    case 'alarm-raised':
      return `⚠ ${event.name}: ${event.text} (update ${event.update}). May help: ${event.remedy}`
    case 'run-stopped-early':
      return stoppedLine(event)
    case 'warning':
      return `⚠ ${event.message}`
    case 'run-interrupted':
      return event.folder === ''
        ? 'stopped before the first update: there is nothing to save'
        : `stopped after update ${event.update}, saved ${event.folder}; --resume_from_checkpoint goes on from it`
    case 'run-end':
      return `finished ${showCount(event.update)} updates in ${showDuration(event.seconds)}: ${event.folder}`
    default:
      return undefined
  }
}

/** `stopped early after update 300: eval_loss no better for 3 evaluations, best 0.412 after update 150`. */
function stoppedLine({ update, metric, waited, best }: EventOf<'run-stopped-early'>): string {
  const known = best === undefined ? '' : `, best ${showNumber(best.value, 3)} after update ${best.update}`
  return `stopped early after update ${update}: ${metric} no better for ${waited} evaluations${known}`
}

/** Completions without a better or worse sibling are in the nature of the data; a lost row or pair is a warning. */
function droppedLine({ what, count, total, reason, example }: EventOf<'rows-dropped'>): string {
  const sign = what === 'completions' ? '' : '⚠ '
  return `${sign}${showCount(count)} of ${showCount(total)} ${what} left out: ${reason} (first: ${example})`
}

/** Margins of this size come from rounding. */
const ROUNDING = 1e-6

/** `loss 0.6871 acc 0.571 [0.532, 0.609] margin 0.031, untrained 0.461`: the last by log-probabilities alone. */
function showEvaluation(metrics: Metrics): string {
  const part = (label: string, name: string, digits: number): string[] =>
    metrics[name] === undefined ? [] : [`${label} ${showNumber(metrics[name], digits)}`]
  const accuracyOf = (name: string): string[] => {
    const [low, high] = [metrics[`${name}_low`], metrics[`${name}_high`]]
    const interval = low === undefined || high === undefined ? [] : [`[${showNumber(low, 3)}, ${showNumber(high, 3)}]`]
    return [...part('acc', name, 3), ...interval]
  }
  const parts = [
    ...part('loss', 'eval_loss', 4),
    // An adapter that has learnt nothing yet prefers nothing: its accuracy of 0 is not a verdict.
    ...(Math.abs(metrics['eval_rewards/margins']) < ROUNDING
      ? ['no preference yet']
      : accuracyOf('eval_rewards/accuracies')),
    ...part('margin', 'eval_rewards/margins', 3),
    ...accuracyOf('eval_verdicts/accuracies'),
    ...part('auc', 'eval_verdicts/auc', 3),
  ]
  const [least, most] = [metrics['eval_accuracy_low'], metrics['eval_accuracy_high']]
  const solved = metrics['eval_accuracy']
  if (solved !== undefined)
    parts.push(`solved ${showNumber(solved, 3)} [${showNumber(least, 3)}, ${showNumber(most, 3)}]`)
  return [parts.join(' '), ...part('untrained', 'eval_reference/accuracies', 3)].join(', ')
}

/** What is learned from: pairs, or without any, demonstrations. */
/** What the live block shows of a beginning run, for a log that has no block. */
export function beginningOf(event: RunEvent): string | undefined {
  switch (event.type) {
    case 'run-begin':
      return `stepdpo train ${event.model} · ${event.adapter} · ${event.data} · ${event.device} · run ${event.run}`
    case 'model-loaded':
      return `model: ${showCompact(event.trainable)} of ${showCompact(event.parameters)} parameters are trained`
    case 'data-loaded':
      return (
        `data: ${event.examples} of ` +
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
    ...number('verdicts/accuracies', showNumber),
    ...number('learning_rate', showRate),
    ...number('grad_norm', showNumber),
    `tok/s=${showNumber(tokens / seconds)}`,
  ].join(' ')
}
