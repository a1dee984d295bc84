/**
 * @file Signs in the log of a run that training goes wrong, each with what may help. docs/diagnostics.md has the reasons
 * of the thresholds. Knows metrics by name only.
 */
import { isEvaluation, type LogEntry } from '../train/log.ts'

export interface Alarm {
  readonly name: string
  /** After how many updates it was raised. */
  readonly since: number
  readonly text: string
  /** Settings that may help. */
  readonly remedy: string
}

/** An alarm that was raised, with what its sign said when it was last seen, and after which update that was. */
export interface RaisedAlarm extends Alarm {
  readonly until: number
}

export interface AlarmWatch {
  /** Takes note of the next entry of the log. @returns the alarms that it raises. */
  see(entry: LogEntry): Alarm[]
  /** All that were raised so far, in their order. */
  raised(): readonly RaisedAlarm[]
}

/** What was logged so far. */
interface History {
  readonly updates: readonly LogEntry[]
  readonly evaluations: readonly LogEntry[]
}

interface Rule {
  readonly name: string
  readonly remedy: string
  /** What there is to say now, or undefined. */
  readonly check: (history: History) => string | undefined
}

/** Entries that a mean is over: less is chance. A sign that was gone for so many entries may be raised anew. */
const WINDOW = 20

function mean(entries: readonly LogEntry[], name: string): number | undefined {
  if (entries.length === 0) return undefined
  const total = entries.reduce((sum, entry) => sum + (entry[name] ?? Number.NaN), 0)
  return Number.isNaN(total) ? undefined : total / entries.length
}

/** The means of a metric over the first and over the last updates, where these are apart. */
function change({ updates }: History, name: string): { readonly first: number; readonly last: number } | undefined {
  if (updates.length < 2 * WINDOW) return undefined
  const [first, last] = [mean(updates.slice(0, WINDOW), name), mean(updates.slice(-WINDOW), name)]
  return first === undefined || last === undefined ? undefined : { first, last }
}

/** The mean over the last updates, the first ones being over: what holds before anything was learnt is no sign. */
function recent({ updates }: History, name: string): number | undefined {
  return updates.length < 2 * WINDOW ? undefined : mean(updates.slice(-WINDOW), name)
}

/** Nats by which a chosen token became less likely. */
const DISPLACED = 0.1

function displacement(history: History): string | undefined {
  const { evaluations } = history
  const say = (where: string, fall: number): string =>
    `${where} chosen steps have become ${fall.toFixed(2)} nats a token less likely, while margins grow`
  const [first, last] = [evaluations[0], evaluations.at(-1)]
  if (last !== undefined) {
    const fall = last['eval_logps/displacement'] ?? heldOutFall(first, last)
    const margin = last['eval_rewards/margins'] - (first === last ? 0 : first['eval_rewards/margins'])
    if (fall > DISPLACED && margin > 0) return say('held-out', fall)
  }
  const fall = recent(history, 'logps/displacement')
  const margins = change(history, 'rewards/margins')
  if (fall === undefined || margins === undefined) return undefined
  return fall > DISPLACED && margins.last > margins.first ? say('the', fall) : undefined
}

/** Without a reference: what held-out chosen steps have lost since the first evaluation. */
function heldOutFall(first: LogEntry, last: LogEntry): number {
  return (first['eval_logps/chosen'] - last['eval_logps/chosen']) / last['eval_lengths/chosen']
}

const SATURATED = 0.9

function saturation(history: History): string | undefined {
  const share = recent(history, 'rewards/saturated')
  if (share === undefined || share < SATURATED) return undefined
  return `in ${percent(share)} of the pairs the margin is so large that nothing more is learnt from them`
}

/** The part of the best held-out loss by which later ones are worse, so many in a row. */
const WORSE = 0.05
const WORSE_AFTER = 3

function overfitting({ updates, evaluations }: History): string | undefined {
  const all = evaluations.flatMap(({ eval_loss: loss }) => (loss === undefined ? [] : [loss]))
  if (all.length <= WORSE_AFTER) return undefined
  const best = Math.min(...all)
  const isWorse = all.slice(-WORSE_AFTER).every((loss) => loss > best + WORSE * Math.abs(best))
  const since = updates.slice(-WINDOW)
  const [before, now] = [mean(updates.slice(0, since.length), 'loss'), mean(since, 'loss')]
  if (!isWorse || before === undefined || now === undefined || now >= before) return undefined
  return `the held-out loss was ${best.toPrecision(3)} and is ${all[all.length - 1].toPrecision(3)}, while that of training falls`
}

/** Updates at the full rate after which something must have changed; nats a token that are nothing. */
const PATIENCE = 50
const NOTHING = 1e-6

function stillness({ updates }: History): string | undefined {
  const last = updates.at(-1)
  const distance = last?.['kl/token']
  if (distance === undefined || distance > NOTHING || updates.length < PATIENCE) return undefined
  const largest = updates.reduce((rate, entry) => Math.max(rate, entry['learning_rate']), 0)
  const full = updates.filter((entry) => entry['learning_rate'] >= largest / 2).length
  return full < PATIENCE ? undefined : `after ${last?.['step']} updates the policy still says what the reference says`
}

const CORRELATED = 0.6
const LEAST_MARGIN = 0.1

function lengthHacking(history: History): string | undefined {
  const [now, margin] = [recent(history, 'rewards/length_correlation'), recent(history, 'rewards/margins')]
  if (now === undefined || margin === undefined || Math.abs(now) < CORRELATED || margin < LEAST_MARGIN) return undefined
  const part = percent(now ** 2)
  return `the policy learns to write ${now > 0 ? 'longer' : 'shorter'} steps: lengths explain ${part} of how margins differ`
}

/** By how much the share of repetitive solutions must have grown. */
const MORE_REPETITIVE = 0.1

function repetition({ evaluations }: History): string | undefined {
  const solved = evaluations.filter((entry) => entry['eval_repetitive'] !== undefined)
  const [first, last] = [solved[0], solved.at(-1)]
  if (last === undefined || first === last) return undefined
  const [before, now] = [first['eval_repetitive'], last['eval_repetitive']]
  // Beyond chance: the first share lies below the interval of the last.
  if (now < before + MORE_REPETITIVE || last['eval_repetitive_low'] <= before) return undefined
  return `${percent(now)} of the solutions repeat themselves, ${percent(before)} did`
}

/** Held-out margins may grow while fewer problems are solved: what is learnt is not what was meant. */
function fewerSolved({ evaluations }: History): string | undefined {
  const solved = evaluations.filter((entry) => entry['eval_accuracy'] !== undefined)
  const [first, last] = [solved[0], solved.at(-1)]
  // Beyond chance: the first share lies above the interval of the last.
  if (last === undefined || !(last['eval_accuracy_high'] < first['eval_accuracy'])) return undefined
  return `${percent(last['eval_accuracy'])} of the problems are solved, ${percent(first['eval_accuracy'])} were`
}

/** Nats a token, where a typical token has become more than e times as likely, or as unlikely. */
const FAR = 0.5

function distance(history: History): string | undefined {
  const now = history.evaluations.at(-1)?.['eval_kl/token']
  const found = Math.max(now ?? 0, recent(history, 'kl/token') ?? 0)
  return found > FAR ? `the policy is ${found.toFixed(2)} nats a token away from the reference` : undefined
}

const FEW = 0.25

function fewPairs(history: History): string | undefined {
  const share = recent(history, 'weights/ess')
  return share !== undefined && share < FEW
    ? `pairs count so unlike each other that ${percent(share)} of them would say the same`
    : undefined
}

const MANY_TIES = 0.1

function ties(history: History): string | undefined {
  const [share, distance] = [recent(history, 'rewards/ties'), recent(history, 'kl/token')]
  const isStill = distance !== undefined && distance <= NOTHING
  if (share === undefined || share <= MANY_TIES || isStill) return undefined
  return `in ${percent(share)} of the pairs both sides have the same reward`
}

const GROWTH = 10

function gradients(history: History): string | undefined {
  const norms = change(history, 'grad_norm')
  if (norms === undefined || !(norms.last > GROWTH * norms.first)) return undefined
  return `gradients are ${(norms.last / norms.first).toFixed(0)} times as large as in the beginning`
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`
}

const rules: readonly Rule[] = [
  {
    name: 'likelihood-displacement',
    remedy:
      '--loss_type sigmoid,sft, dpop or apo_zero keep chosen steps likely; a larger --beta or a smaller --learning_rate moves less',
    check: displacement,
  },
  {
    name: 'saturation',
    remedy: 'fewer --num_train_epochs, a smaller --learning_rate, --label_smoothing 0.1, or --loss_type ipo',
    check: saturation,
  },
  {
    name: 'overfitting',
    remedy:
      '--load_best_model_at_end, --early_stopping_patience 3, fewer --num_train_epochs, a smaller --learning_rate or --lora_r',
    check: overfitting,
  },
  {
    name: 'no-learning',
    remedy: 'a larger --learning_rate (1e-4 for small models), a smaller --warmup_ratio; look at the data',
    check: stillness,
  },
  {
    name: 'length',
    remedy: '--loss_type sigmoid_norm or simpo compare by token; --ld_alpha 0.5 discounts what is longer',
    check: lengthHacking,
  },
  {
    name: 'repetition',
    remedy: '--loss_type sigmoid,sft, a smaller --learning_rate, fewer --num_train_epochs, a larger --beta',
    check: repetition,
  },
  {
    name: 'fewer-solved',
    remedy:
      '--metric_for_best_model accuracy with --load_best_model_at_end, --loss_type sigmoid,sft, a smaller --learning_rate, a larger --beta',
    check: fewerSolved,
  },
  {
    name: 'far-from-reference',
    remedy: 'a smaller --learning_rate, a larger --beta, fewer --num_train_epochs',
    check: distance,
  },
  {
    name: 'few-effective-pairs',
    remedy: 'more groups in --per_device_train_batch_size; look at the counts and weights of the data',
    check: fewPairs,
  },
  { name: 'ties', remedy: 'look for pairs that differ in nothing that counts: token weights of 0', check: ties },
  {
    name: 'growing-gradients',
    remedy: 'a smaller --learning_rate, a longer --warmup_ratio, a smaller --max_grad_norm',
    check: gradients,
  },
]

/** Watches a log from its beginning. An alarm is raised once, and again when its sign was gone for 20 entries. */
export function watchAlarms(): AlarmWatch {
  const history = { updates: [] as LogEntry[], evaluations: [] as LogEntry[] }
  const all: { readonly rule: Rule; readonly since: number; text: string; until: number; seenAt: number }[] = []
  let count = 0
  const raise = (rule: Rule, since: number, text: string): Alarm[] => {
    const known = all.findLast((one) => one.rule === rule)
    if (known !== undefined && count - known.seenAt <= WINDOW) {
      Object.assign(known, { text, until: since, seenAt: count })
      return []
    }
    all.push({ rule, since, text, until: since, seenAt: count })
    return [{ name: rule.name, since, text, remedy: rule.remedy }]
  }
  return {
    see: (entry) => {
      count++
      ;(isEvaluation(entry) ? history.evaluations : history.updates).push(entry)
      return rules.flatMap((rule) => {
        const text = rule.check(history)
        return text === undefined ? [] : raise(rule, entry['step'], text)
      })
    },
    raised: () => all.map(({ rule: { name, remedy }, since, text, until }) => ({ name, since, text, remedy, until })),
  }
}
