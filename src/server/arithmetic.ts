/** @file The score of a solution as a sum that can be followed: the formulas of judge/aggregate.ts with numbers in them. */
import type { AggregationTerm } from '../data/dashboard-traces.ts'
import type { JudgedStep } from '../data/judgement.ts'
import { AGGREGATION_DEFAULTS, AGGREGATIONS, type AggregationName, aggregate } from '../judge/aggregate.ts'

interface Scored {
  readonly values: readonly number[]
  /** Of the steps, from 1. */
  readonly positions: readonly number[]
  readonly count: number
}

/** Those that need no weights of one's own. */
type Explained = Exclude<AggregationName, 'weighted'>

const { gamma, temperature, power, threshold } = AGGREGATION_DEFAULTS

const formulas: { readonly [N in Explained]: (scores: Scored) => string } = {
  mean: ({ values }) => `(${sum(values)}) / ${values.length}`,
  linear: (scores) => weighted(scores, (position) => position),
  inverse: (scores) => weighted(scores, (position) => 1 / position),
  decay: (scores) => weighted(scores, (position) => gamma ** (position - 1)),
  rise: (scores) => weighted(scores, (position, count) => gamma ** (count - position)),
  product: ({ values }) => values.map(show).join(' × '),
  geometric: ({ values }) => `(${values.map(show).join(' × ')}) ^ (1 / ${values.length})`,
  min: ({ values }) => `min(${values.map(show).join(', ')})`,
  softmin: ({ values }) => {
    const least = Math.min(...values)
    return fraction(values, (at) => Math.exp((least - values[at]) / temperature))
  },
  last: ({ values }) => show(values[values.length - 1]),
  max: ({ values }) => `max(${values.map(show).join(', ')})`,
  sum: ({ values }) => sum(values),
  power: ({ values }) =>
    `((${values.map((value) => `${show(value)} ^ ${power}`).join(' + ')}) / ${values.length}) ^ (1 / ${power})`,
  first_error: ({ values, positions, count }) => {
    const first = values.findIndex((value) => value < threshold)
    return `${first < 0 ? count : positions[first] - 1} / ${count}`
  },
  fraction_correct: ({ values }) => `${values.filter((value) => value >= threshold).length} / ${values.length}`,
}

/** Every way of making one score of these, worked out; `used` is the one that the judgement took. */
export function explainAggregations(steps: readonly JudgedStep[], used: string): AggregationTerm[] {
  const scored = steps.flatMap((step, at) => (step.state === 'scored' ? [{ value: step.score, position: at + 1 }] : []))
  const scores = {
    values: scored.map(({ value }) => value),
    positions: scored.map(({ position }) => position),
    count: steps.length,
  }
  return AGGREGATIONS.filter(isExplained).map((name) => {
    const { score } = aggregate(steps, name)
    return { name, score, arithmetic: score === null ? '' : formulas[name](scores), isUsed: name === used }
  })
}

function isExplained(name: AggregationName): name is Explained {
  return name !== 'weighted'
}

function sum(values: readonly number[]): string {
  return values.map(show).join(' + ')
}

function weighted({ values, positions, count }: Scored, weight: (position: number, count: number) => number): string {
  return fraction(values, (at) => weight(positions[at], count))
}

/** Σ weight · value / Σ weight. */
function fraction(values: readonly number[], weight: (at: number) => number): string {
  const weights = values.map((_, at) => show(weight(at)))
  return `(${values.map((value, at) => `${weights[at]} × ${show(value)}`).join(' + ')}) / (${weights.join(' + ')})`
}

/** At most four digits behind the point; tiny ones are not made 0. */
function show(value: number): string {
  return value !== 0 && Math.abs(value) < 0.0001 ? value.toExponential(2) : String(Number(value.toFixed(4)))
}
