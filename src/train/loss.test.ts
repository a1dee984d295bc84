/** Each loss of pairs by itself: against values and gradients of the originals in float64, and against finite differences. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  goldenCases,
  goldenDivergences,
  goldenPairs,
  mean,
  openrlhfCases,
  goldenPairs as pairs,
  tdpoCases,
  trlCases,
} from '../../test/golden-losses.ts'
import { plainObjective } from '../../test/plain-objective.ts'
import { isSlow } from '../../test/slow.ts'
import type { WeightedPair } from './batch-loss.ts'
import { type DivergenceType, scoreOf } from './divergence.ts'
import type { LossOptions, PairLogps, PairLoss } from './loss.ts'
import { entryOf, type LossType, lossTypes } from './loss-table.ts'
import { lossesOf } from './objective.ts'

/** Losses of which each pair has its own. */
const types = lossTypes.filter((type) => {
  const entry = entryOf(type)
  return entry.unit === 'pair' && !['aot', 'aot_unpaired'].includes(type)
})

function typeOf(name: string): LossType {
  const type = lossTypes.find((one) => one === name)
  if (type === undefined) throw new Error(`no loss is called ${name}`)
  return type
}

/** One loss of some pairs, with the defaults of all that is not said. */
function lossesBy(type: LossType, batch: readonly WeightedPair[], options: Partial<LossOptions> = {}): PairLoss[] {
  return lossesOf(batch, { ...plainObjective, ...options, terms: [{ type, weight: 1 }] })
}

function lossBy(type: LossType, pair: PairLogps, options: Partial<LossOptions> = {}): PairLoss {
  return lossesBy(type, [{ weight: 1, ...pair }], options)[0]
}

function expectClose(found: readonly number[], expected: readonly number[], tolerance = 1e-12): void {
  expect(found.length).toBe(expected.length)
  for (const [at, value] of expected.entries()) {
    expect(Math.abs(found[at] - value), `${found[at]} for ${value}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(value)),
    )
  }
}

interface Expected {
  readonly values: readonly number[]
  readonly grad_chosen: readonly number[]
  readonly grad_rejected: readonly number[]
}

/** `scale`: of gradients in the file. */
function expectLosses(found: readonly PairLoss[], expected: Expected, scale = 1, tolerance = 1e-12): void {
  expectClose(
    found.map(({ value }) => value),
    expected.values,
    tolerance,
  )
  expectClose(
    found.map(({ dChosen }) => dChosen * scale),
    expected.grad_chosen,
    tolerance,
  )
  expectClose(
    found.map(({ dRejected }) => dRejected * scale),
    expected.grad_rejected,
    tolerance,
  )
}

describe('on the six pairs of the golden file', () => {
  const cases = goldenCases
    .map(({ loss_type, ...rest }) => ({ type: typeOf(loss_type), ...rest }))
    .filter(({ type }) => types.includes(type))

  test.each(cases)('$type, label smoothing $label_smoothing: values and gradients are those of TRL', (one) => {
    const found = lossesBy(one.type, pairs, { beta: one.beta, labelSmoothing: one.label_smoothing })
    expectLosses(found, { ...one, values: one.per_sequence }, 1 / pairs.length)
  })

  test.each(openrlhfCases)('OpenRLHF, ipo $ipo, beta $beta, label smoothing $label_smoothing: the same', (one) => {
    const type = one.ipo ? 'ipo_sum' : 'sigmoid'
    const found = lossesBy(type, pairs, { beta: one.beta, labelSmoothing: one.label_smoothing })
    expectClose([mean(found.map(({ value }) => value))], [one.mean])
    expectLosses(found, { ...one, values: found.map(({ value }) => value) }, 1 / pairs.length)
  })

  test.each(tdpoCases)(
    'TDPO, the second $if_tdpo2: values and gradients, also by the KLs, are the original ones',
    (one) => {
      const withKl = pairs.map((pair, at) => ({
        ...pair,
        chosenKl: one.chosen_position_kl[at],
        rejectedKl: one.rejected_position_kl[at],
      }))
      const found = lossesBy(one.if_tdpo2 ? 'tdpo2' : 'tdpo1', withKl, { beta: one.beta, tdpoAlpha: one.alpha })
      expectLosses(found, { ...one, values: one.per_sequence }, 1 / pairs.length)
      expectClose(
        found.map(({ dChosenKl }) => dChosenKl / pairs.length),
        one.grad_kl_chosen ?? pairs.map(() => 0),
      )
      expectClose(
        found.map(({ dRejectedKl }) => dRejectedKl / pairs.length),
        one.grad_kl_rejected,
      )
      // Its rewards are β(lr + K), and TDPO₁ is DPO on them.
      if (!one.if_tdpo2) {
        const margins = one.chosen_rewards.map((reward, at) => reward - one.rejected_rewards[at])
        expectClose(
          margins.map((margin) => Math.log1p(Math.exp(-margin))),
          one.per_sequence,
        )
      }
    },
  )

  test.each(goldenDivergences)(
    '$loss_type, $f_divergence, alpha $f_alpha: values and gradients are those of TRL',
    (one) => {
      const divergence = { type: one.f_divergence, alpha: one.f_alpha }
      // This TRL takes the powers of the alpha divergence in float32, whatever the rest is in.
      const tolerance = one.f_divergence === 'alpha_divergence' ? 1e-7 : 1e-12
      const found = lossesBy(typeOf(one.loss_type), pairs, { beta: one.beta, divergence })
      expectLosses(found, { ...one, values: one.per_sequence }, 1 / pairs.length, tolerance)
    },
  )

  test('sft is the mean over all chosen tokens, not over pairs', () => {
    // 12.5 + 30 + 3.25 + 101 + 7 + 55.5 nats over 10 + 24 + 3 + 80 + 6 + 40 tokens
    expectClose([mean(lossesBy('sft', pairs).map(({ value }) => value))], [209.25 / 163])
  })
})

describe("on the same pairs with TRL 1.16's code run by make.py", () => {
  /** The losses with constants in the scores, 0 where policy and reference agree, as TRL 1.16 has them. */
  function centredLosses(type: LossType, divergence: LossOptions['divergence'], options: Partial<LossOptions>) {
    const score = (logp: number, reference: number) => scoreOf(logp - reference, divergence)
    const zero = scoreOf(0, divergence).value
    return pairs.map((pair) => {
      const [w, l] = [score(pair.chosen, pair.referenceChosen), score(pair.rejected, pair.referenceRejected)]
      const centred = { chosen: w.value - zero, rejected: l.value - zero, referenceChosen: 0, referenceRejected: 0 }
      const { value, dChosen, dRejected } = lossBy(type, { ...pair, ...centred }, options)
      return { value, dChosen: dChosen * w.slope, dRejected: dRejected * l.slope, dChosenKl: 0, dRejectedKl: 0 }
    })
  }

  test.each(trlCases.divergences)(
    '$loss, $divergence, alpha $f_alpha: values and gradients are those of TRL',
    (one) => {
      const divergence = { type: one.divergence, alpha: one.f_alpha }
      const options = { beta: one.beta, labelSmoothing: one.label_smoothing, discopopTau: one.discopop_tau }
      expectLosses(centredLosses(typeOf(one.loss), divergence, options), one)
      // In a difference of scores the constants cancel.
      if (one.loss === 'ipo' || one.loss === 'sigmoid_norm') return
      expectLosses(lossesBy(typeOf(one.loss), pairs, { ...options, divergence }), one)
    },
  )

  test('every loss that TRL lets heed a divergence is among them, and every divergence', () => {
    // f_divergence_loss_types of its DPOTrainer, without sft, which looks at no reference
    const allowed = ['sigmoid', 'sigmoid_norm', 'hinge', 'ipo', 'exo_pair', 'robust', 'discopop']
    for (const divergence of ['forward_kl', 'js_divergence', 'alpha_divergence']) {
      const own = trlCases.divergences.filter((one) => one.divergence === divergence).map(({ loss }) => loss)
      expect(new Set(own)).toEqual(new Set(allowed))
    }
    const heeding = lossTypes.filter((type) => entryOf(type).heeds.includes('divergence'))
    // TRL has no name for some of these, and refuses the others since it has constants in its scores.
    const more = ['ipo_sum', 'rpo', 'odpo', 'nca_pair', 'bco_pair', 'bco_delta', 'sppo_hard']
    expect(new Set(heeding)).toEqual(new Set([...allowed, ...more]))
  })

  test.each(trlCases.policy)('$loss, alpha $alpha, gamma $gamma, label smoothing $label_smoothing: the same', (one) => {
    const found = lossesBy(typeOf(one.loss), pairs, {
      beta: one.beta,
      labelSmoothing: one.label_smoothing ?? 0,
      gamma: one.gamma ?? 0,
      alphapoAlpha: one.alpha ?? 0,
      cpoAlpha: 0,
    })
    // ORPO's term of likelihood, −log π_w / |w|, TRL adds elsewhere.
    const added = one.loss === 'orpo' ? 1 : 0
    expectLosses(found, {
      values: one.values.map((value, at) => value - (added * pairs[at].chosen) / pairs[at].chosenTokens),
      grad_chosen: one.grad_chosen.map((slope, at) => slope - added / pairs[at].chosenTokens),
      grad_rejected: one.grad_rejected,
    })
  })
})

describe('losses that no original was run for', () => {
  const [first, second] = pairs
  // βΔ of the first two pairs: 0.1 · (0.5 − −0.5) and 0.1 · (−1.5 − 3)
  const softplus = (x: number) => Math.log1p(Math.exp(x))

  test('rpo is sigmoid and alpha times the mean −log p of the chosen side', () => {
    // 12.5 nats over 10 tokens
    expect(lossBy('rpo', first, { rpoAlpha: 2 }).value).toBeCloseTo(softplus(-0.1) + 2 * 1.25, 14)
  })

  test('dpop takes what the chosen side has lost off the margin, inside the sigmoid; dpop_outside adds it', () => {
    expect(lossBy('dpop', first, { dpopLambda: 3 }).value).toBeCloseTo(softplus(-0.1), 14)
    // the second chosen side lost 1.5 nats: 0.1 · (−4.5 − 3 · 1.5) = −0.9
    expect(lossBy('dpop', second, { dpopLambda: 3 }).value).toBeCloseTo(softplus(0.9), 14)
    expect(lossBy('dpop_outside', first, { dpopLambda: 3 }).value).toBeCloseTo(softplus(-0.1), 14)
    expect(lossBy('dpop_outside', second, { dpopLambda: 3 }).value).toBeCloseTo(softplus(0.45) + 3 * 1.5, 14)
  })

  test('cpo adds the likelihood of the chosen side as a sum', () => {
    // 0.1 · (−12.5 + 14), and 12.5 nats
    expect(lossBy('cpo', first, { cpoAlpha: 0.5 }).value).toBeCloseTo(softplus(-0.15) + 6.25, 14)
  })

  test('odpo asks for a margin in proportion to the gap between scores', () => {
    expect(lossBy('odpo', { ...first, scoreGap: 0.25 }, { odpoAlpha: 2 }).value).toBeCloseTo(softplus(-(0.1 - 0.5)), 14)
    expect(lossBy('odpo', first).value).toBe(lossBy('sigmoid', first).value)
  })

  test('bco_delta is bco_pair on rewards less the shift', () => {
    const shifted = {
      ...first,
      referenceChosen: first.referenceChosen + 2,
      referenceRejected: first.referenceRejected + 2,
    }
    expect(lossBy('bco_delta', first, { rewardShift: 0.2 }).value).toBeCloseTo(lossBy('bco_pair', shifted).value, 14)
    expect(lossBy('bco_delta', first)).toEqual(lossBy('bco_pair', first))
  })
})

const anyLogp = fc.double({ min: -30, max: -1, noNaN: true })
const anyTokens = fc.integer({ min: 1, max: 40 })
const anyPair: fc.Arbitrary<PairLogps> = fc.record({
  chosen: anyLogp,
  rejected: anyLogp,
  referenceChosen: anyLogp,
  referenceRejected: anyLogp,
  chosenTokens: anyTokens,
  rejectedTokens: anyTokens,
  meanChosenTokens: fc.double({ min: 1, max: 40, noNaN: true }),
  chosenKl: fc.double({ min: 0, max: 5, noNaN: true }),
  rejectedKl: fc.double({ min: 0, max: 5, noNaN: true }),
  scoreGap: fc.double({ min: -1, max: 1, noNaN: true }),
  policyWeight: fc.double({ min: 0.01, max: 1, noNaN: true }),
})
const part = fc.double({ min: 0, max: 1, noNaN: true })
const anyOptions = fc.record({
  beta: fc.double({ min: 0.05, max: 1, noNaN: true }),
  labelSmoothing: fc.double({ min: 0.001, max: 0.45, noNaN: true }),
  discopopTau: fc.double({ min: 0.05, max: 1, noNaN: true }),
  gamma: fc.double({ min: 0, max: 2, noNaN: true }),
  alphapoAlpha: fc.double({ min: -0.1, max: 0.1, noNaN: true }),
  cpoAlpha: part,
  rpoAlpha: part,
  dpopLambda: fc.double({ min: 0, max: 5, noNaN: true }),
  odpoAlpha: part,
  tdpoAlpha: part,
  rewardShift: fc.double({ min: -1, max: 1, noNaN: true }),
})

/** d f / dx by five points: the error is of order h⁴. */
function differentiate(f: (x: number) => number, x: number): number {
  const h = 3e-4
  return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)
}

/** What the loss of a pair follows from of the policy, with the name of its slope. */
const sources = [
  ['chosen', 'dChosen'],
  ['rejected', 'dRejected'],
  ['chosenKl', 'dChosenKl'],
  ['rejectedKl', 'dRejectedKl'],
] as const

/** Whether a loss has a corner near a pair, where it has no gradient. */
function isCorner(type: LossType, pair: PairLogps, options: LossOptions): boolean {
  const ratio = pair.chosen - pair.referenceChosen
  if (type.startsWith('dpop')) return Math.abs(ratio) < 1e-2
  if (type !== 'hinge') return false
  const { value } = lossBy('hinge', { ...pair, policyWeight: 1 }, options)
  return value < 1e-2
}

/** Many in the slow stage, some otherwise. */
const runs = { numRuns: isSlow ? 500 : 40 }

/** How far the gradient of a loss is from its finite differences, as a part of either. */
function slopeError(type: LossType, pair: PairLogps, options: LossOptions): number {
  const found = lossBy(type, pair, options)
  const errors = sources.map(([source, slope]) => {
    // From the KL of the chosen side TDPO₂ learns nothing, although it follows from it.
    if (type === 'tdpo2' && source === 'chosenKl') return Math.abs(found[slope])
    const numeric = differentiate((x) => lossBy(type, { ...pair, [source]: x }, options).value, pair[source])
    // Below 1e-3 of the value a difference of values is rounding.
    return Math.abs(found[slope] - numeric) / Math.max(1e-3, 1e-3 * Math.abs(found.value), Math.abs(numeric))
  })
  return Math.max(...errors)
}

test.each(types)('%s: gradients are the finite differences of values to 1e-6, on random pairs', (type) => {
  fc.assert(
    fc.property(anyPair, anyOptions, (pair, chosen) => {
      const options = { ...plainObjective, ...chosen }
      fc.pre(!isCorner(type, pair, options))
      expect(slopeError(type, pair, options)).toBeLessThanOrEqual(1e-6)
    }),
    runs,
  )
})

const divergenceTypes: readonly DivergenceType[] = ['forward_kl', 'js_divergence', 'alpha_divergence']
const anyDivergence = fc.record({
  type: fc.constantFrom(...divergenceTypes),
  alpha: fc.double({ min: 0.2, max: 1.8, noNaN: true }),
})
/** Scores grow with the power of ratios: where these are large, differences of values say nothing. */
const smallRatio = fc.double({ min: -2, max: 2, noNaN: true })
const anyRatios = fc.tuple(smallRatio, smallRatio)

test.each(types.filter((type) => entryOf(type).heeds.includes('divergence')))(
  '%s: the same under every other divergence',
  (type) => {
    fc.assert(
      fc.property(anyPair, anyOptions, anyDivergence, anyRatios, (any, chosen, divergence, [w, l]) => {
        const pair = { ...any, referenceChosen: any.chosen - w, referenceRejected: any.rejected - l }
        const options = { ...plainObjective, ...chosen, divergence, discopopTau: Math.max(0.3, chosen.discopopTau) }
        fc.pre(!isCorner(type, pair, options))
        expect(slopeError(type, pair, options)).toBeLessThanOrEqual(1e-6)
      }),
      runs,
    )
  },
)

test.each(types)(
  '%s: values and gradients are finite however far policy and reference are apart, and at certainty',
  (type) => {
    const sides = [-1e5, -1, -1e-9, 0]
    for (const divergence of [...divergenceTypes, 'reverse_kl'] as const) {
      if (divergence !== 'reverse_kl' && !entryOf(type).heeds.includes('divergence')) continue
      for (const chosen of sides) {
        for (const rejected of sides) {
          const pair = { ...pairs[0], chosen, rejected, referenceChosen: -5, referenceRejected: -5, chosenTokens: 2 }
          const options = { beta: 1, labelSmoothing: 0.001, divergence: { type: divergence, alpha: 0.5 } }
          const found = lossBy(type, pair, options)
          expect(Object.values(found).every(Number.isFinite), JSON.stringify({ pair, divergence, found })).toBe(true)
        }
      }
    }
  },
)

describe('whatever the pair', () => {
  test.each(types)(
    '%s: the loss and its gradient follow from the ratios alone where it says that it asks the reference',
    (type) => {
      // Those that add the likelihood of the chosen side follow from more.
      fc.assert(
        fc.property(anyPair, anyOptions, fc.double({ min: -3, max: 3, noNaN: true }), (pair, options, by) => {
          const moved = { ...pair, chosen: pair.chosen + by, referenceChosen: pair.referenceChosen + by }
          const [before, after] = [lossBy(type, pair, options), lossBy(type, moved, options)]
          const isRatio = entryOf(type).asks.includes('reference')
          const likelihood = type === 'rpo' ? (pair.policyWeight * options.rpoAlpha * by) / pair.chosenTokens : 0
          if (isRatio) expect(after.value).toBeCloseTo(before.value - likelihood, 8)
          else {
            const other = {
              ...pair,
              referenceChosen: pair.referenceChosen + by,
              referenceRejected: pair.referenceRejected - by,
            }
            expect(lossBy(type, other, options)).toEqual(before)
          }
        }),
        runs,
      )
    },
  )

  function swap(pair: PairLogps): PairLogps {
    return {
      ...pair,
      chosen: pair.rejected,
      rejected: pair.chosen,
      referenceChosen: pair.referenceRejected,
      referenceRejected: pair.referenceChosen,
      chosenTokens: pair.rejectedTokens,
      rejectedTokens: pair.chosenTokens,
    }
  }

  test.each(['sigmoid', 'simpo', 'alphapo'] as const)('%s: sides swapped are the label turned round', (type) => {
    fc.assert(
      fc.property(anyPair, anyOptions, (pair, options) => {
        const own = { ...options, gamma: 0 }
        const turned = lossBy(type, { ...swap(pair), doubt: 1 - options.labelSmoothing }, own)
        const { value, dChosen, dRejected } = lossBy(type, pair, own)
        expect(turned.value).toBeCloseTo(value, 10)
        expect(turned.dChosen).toBeCloseTo(dRejected, 10)
        expect(turned.dRejected).toBeCloseTo(dChosen, 10)
      }),
      runs,
    )
  })

  test('a doubt of its own stands instead of label smoothing, for the losses that say so and no others', () => {
    for (const type of types) {
      const told = lossBy(type, { ...pairs[1], doubt: 0.25 }, { labelSmoothing: 0.1 })
      const heeds = entryOf(type).heeds.includes('doubt')
      expect(told, type).toEqual(lossBy(type, pairs[1], { labelSmoothing: heeds ? 0.25 : 0.1 }))
    }
  })

  test.each(types)('%s: heeds the options that it says it heeds, and no others', (type) => {
    const changed = {
      beta: 0.3,
      labelSmoothing: 0.2,
      divergence: { type: 'forward_kl', alpha: 0.5 },
      discopopTau: 0.3,
      gamma: 0.9,
      alphapoAlpha: 0.1,
      cpoAlpha: 0.2,
      rpoAlpha: 0.2,
      dpopLambda: 2,
      odpoAlpha: 0.3,
      tdpoAlpha: 0.2,
      rewardShift: 0.4,
      desirableWeight: 2,
      undesirableWeight: 2,
    } satisfies LossOptions
    const start = { labelSmoothing: 0.1 }
    const pair = { ...pairs[1], scoreGap: 0.5, chosenKl: 1, rejectedKl: 2 }
    const before = lossBy(type, pair, start).value
    const heeded = Object.entries(changed).filter(
      ([name, value]) => lossBy(type, pair, { ...start, [name]: value }).value !== before,
    )
    const said = entryOf(type).heeds.filter((name) => name !== 'doubt')
    expect(heeded.map(([name]) => name).sort()).toEqual([...said].sort())
  })

  test.each(types)('%s: asks what it says it asks, and nothing else', (type) => {
    const options = { labelSmoothing: 0.1 }
    const before = lossBy(type, pairs[1], options).value
    const asked = [
      { name: 'reference', changed: { referenceChosen: -29, referenceRejected: -22 } },
      { name: 'kl', changed: { chosenKl: 1 } },
      { name: 'scores', changed: { scoreGap: 0.5 } },
    ].filter(({ changed }) => lossBy(type, { ...pairs[1], ...changed }, options).value !== before)
    expect(asked.map(({ name }) => name)).toEqual([...entryOf(type).asks])
  })

  test('simpo follows from means and γ: as many tokens more at the same mean change nothing', () => {
    const double = { ...pairs[1], chosen: 2 * pairs[1].chosen, chosenTokens: 2 * pairs[1].chosenTokens }
    expect(lossBy('simpo', double).value).toBeCloseTo(lossBy('simpo', pairs[1]).value, 14)
    // both means lower by 1 nat
    const lower = {
      ...pairs[1],
      chosen: pairs[1].chosen - pairs[1].chosenTokens,
      rejected: pairs[1].rejected - pairs[1].rejectedTokens,
    }
    expect(lossBy('simpo', lower).value).toBeCloseTo(lossBy('simpo', pairs[1]).value, 14)
    expect(lossBy('alphapo', lower).value).not.toBeCloseTo(lossBy('alphapo', pairs[1]).value, 3)
  })

  test('alphapo is simpo at alpha 0, and comes near it continuously', () => {
    for (const pair of goldenPairs) {
      const simpo = lossBy('simpo', pair)
      expect(lossBy('alphapo', pair, { alphapoAlpha: 0 })).toEqual(simpo)
      for (const alphapoAlpha of [1e-9, -1e-9, 1e-200, 5e-324]) {
        const found = lossBy('alphapo', pair, { alphapoAlpha })
        expect(found.value).toBeCloseTo(simpo.value, 7)
        expect(found.dChosen).toBeCloseTo(simpo.dChosen, 7)
      }
    }
  })

  test('orpo is one straight line from 1e-6 nats off certainty on, without a step where it begins', () => {
    const at = (rejected: number) => lossBy('orpo', { ...pairs[0], rejected, rejectedTokens: 1 }, { beta: 1 })
    const [before, after] = [at(-1e-6 - 1e-12), at(-1e-6 + 1e-12)]
    expect(after.value - before.value).toBeCloseTo(2e-12 * 1e6, 9)
    expect(at(0).dRejected).toBeCloseTo(1e6, -1)
  })

  test('the losses of a margin are what their papers say where policy and reference agree', () => {
    const same = { ...pairs[0], referenceChosen: pairs[0].chosen, referenceRejected: pairs[0].rejected }
    for (const type of divergenceTypes) {
      const at = (loss: LossType): number => lossBy(loss, same, { beta: 0.5, divergence: { type, alpha: 0.5 } }).value
      expect(at('sigmoid')).toBeCloseTo(Math.LN2, 15)
      expect(at('hinge')).toBe(1)
      expect(at('ipo_sum')).toBeCloseTo(1, 15) // (1 / 2β)²
      expect(at('discopop')).toBeCloseTo((Math.LN2 + 1) / 2, 15) // half of each: log 2 and e^0
    }
    const at = (loss: LossType): number => lossBy(loss, same, { beta: 0.5 }).value
    expect(at('sigmoid_norm')).toBeCloseTo(Math.LN2, 15)
    expect(at('ipo')).toBeCloseTo(1, 15)
    expect(at('sppo_hard')).toBe(2)
    expect(at('dpop')).toBeCloseTo(Math.LN2, 15)
  })
})
