/** @file What is told of judging: a line that is drawn again on a terminal, lines now and then in a pipe, a summary. */
import {
  type BatchUpdate,
  encodeJudgeEvent,
  type JudgeEvent,
  type JudgePlan,
  type StepCounts,
} from '../data/judge-events.ts'
import { agreementLines } from '../recipe/agreement-text.ts'
import { showCount, showDuration, showNumber } from './format.ts'
import type { OutputStream } from './view.ts'
import { printable } from './width.ts'

const SILENCE_SECONDS = 10
const REDRAW_SECONDS = 0.1

function showDollars(dollars: number | null): string {
  return dollars === null ? 'price not known' : `$${dollars.toFixed(dollars < 1 ? 4 : 2)}`
}

function showSteps({ scored, abstained, failed }: StepCounts): string {
  return `${showCount(scored)} scored, ${showCount(abstained)} abstained, ${showCount(failed)} failed`
}

function planLine({ judge, requests, cached, promptTokens, completionTokens, cost }: JudgePlan): string {
  return (
    `${judge}: ${showCount(requests)} requests, ${showCount(cached)} of them known, at most ` +
    `${showCount(promptTokens)} + ${showCount(completionTokens)} tokens and ${showDollars(cost)}`
  )
}

type Made = Extract<JudgeEvent, { type: 'judgement-made' }>

function progressLine(event: Made, maxCost: number | null): string {
  const { done, total, cached, spent, steps, seconds } = event
  const cap = maxCost === null ? '' : ` of ${showDollars(maxCost)}`
  const left = (seconds / done) * (total - done)
  return (
    `judge ${showCount(done)}/${showCount(total)}  ${showCount(cached)} cached  ${showDollars(spent)}${cap}  ` +
    `${showCount(steps.failed)} errors  [${showDuration(seconds)}<${showDuration(left)}]`
  )
}

function batchLines({ state, model, batch, requests, completed, failed }: BatchUpdate): string[] {
  const errors = failed > 0 ? `, ${showCount(failed)} failed` : ''
  switch (state) {
    case 'created':
      return [
        `batch ${batch}: ${showCount(requests)} requests to ${model}, answered within 24 h; Ctrl-C leaves it running`,
      ]
    case 'running':
      return [`batch ${batch}: ${showCount(completed)}/${showCount(requests)} answered${errors}`]
    case 'ended':
      return [`batch ${batch} has ended: ${showCount(completed)}/${showCount(requests)} answered${errors}`]
    case 'left':
      return [`batch ${batch} goes on at the vendor; the same command takes its results`]
  }
}

/** What is said once; undefined for progress. */
function messageOf(event: JudgeEvent): string[] {
  switch (event.type) {
    case 'judging-begin': {
      const known = event.known > 0 ? `, ${showCount(event.known)} of them judged before` : ''
      return [`stepdpo judge ${event.judge} · ${event.data} · ${showCount(event.solutions)} solutions${known}`]
    }
    case 'judging-planned': {
      const free = event.plans.length === 0 ? ['nothing is asked over the network: it costs nothing'] : []
      return [...free, ...event.plans.map(planLine)]
    }
    case 'rows-dropped':
      return [
        `⚠ ${showCount(event.count)} of ${showCount(event.total)} rows left out: ${event.reason} (first: ${event.example})`,
      ]
    case 'batch-updated':
      return batchLines(event)
    case 'judging-stopped':
      return [`stopped after ${event.done} of ${event.total}; the same command goes on: ${event.folder}`]
    case 'judging-end': {
      const { steps, failures, score, aggregation, agreement, spent, maybeSpent, seconds, solutions, folder } = event
      const kinds = Object.entries(failures).map(([kind, count]) => `${showCount(count)} ${kind}`)
      const all = steps.scored + steps.abstained + steps.failed
      const maybe = maybeSpent > 0 ? `, perhaps ${showDollars(maybeSpent)} more for requests without a known end` : ''
      return [
        `${showCount(solutions)} solutions, ${showCount(all)} steps: ${showSteps(steps)}`,
        ...(kinds.length > 0 ? [`⚠ failed: ${kinds.join(', ')}`] : []),
        ...agreementLines(agreement),
        `mean score ${score === null ? 'none' : showNumber(score, 3)} (${aggregation}), ${showDollars(spent)}${maybe}`,
        `finished in ${showDuration(seconds)}: ${folder}`,
      ]
    }
    case 'judgement-made':
      return []
  }
}

export interface JudgeView {
  show(event: JudgeEvent): void
}

/** `isLive`: a terminal on which a line can be drawn again. */
export function openJudgeView(
  stream: OutputStream,
  options: { readonly json: boolean; readonly isLive: boolean },
): JudgeView {
  let maxCost: number | null = null
  let said = 0
  let lastBatchLine = ''
  let drawn = false
  const clear = options.isLive ? '\r\u001b[2K' : ''
  const progress = (event: Made): void => {
    const isLast = event.done === event.total
    if (!isLast && event.seconds - said < (options.isLive ? REDRAW_SECONDS : SILENCE_SECONDS)) return
    said = event.seconds
    const line = progressLine(event, maxCost)
    const room = stream.columns || 80
    stream.write(options.isLive ? clear + line.slice(0, room - 1) : `${line}\n`)
    drawn = true
  }
  return {
    show: (event) => {
      if (options.json) {
        stream.write(`${encodeJudgeEvent(event)}\n`)
        return
      }
      if (event.type === 'judging-begin') maxCost = event.maxCost
      if (event.type === 'judgement-made') return progress(event)
      if (drawn && options.isLive) stream.write('\n')
      drawn = false
      const lines = messageOf(event)
      if (event.type === 'batch-updated') {
        if (lines[0] === lastBatchLine) return // the vendor says nothing new
        lastBatchLine = lines[0]
      }
      for (const line of lines) stream.write(`${printable(line)}\n`)
    },
  }
}
