/** AdamW, clipping and schedules against torch and transformers. */
import { describe, expect, test } from 'vitest'
import { oracleJson, oracleTensors, relativeError } from '../../test/oracle.ts'
import { adamStep, clipFactor, globalNorm, zeroMoments } from './adamw.ts'
import { rateAt, type ScheduleType, scheduleTypes } from './schedule.ts'

interface Reference {
  readonly adamw: Record<
    string,
    { lr: number; betas: [number, number]; eps: number; weight_decay: number; steps: number }
  >
  readonly clip_grad_norm: { case: number; max_norm: number; total_norm: number }[]
  readonly schedules: {
    base_lr: number
    warmup_steps: number
    total_steps: number
    cases: Record<string, { kind: string; options: object; lr: number[] }>
  }
}
const reference = oracleJson<Reference>('optim/reference.json')

describe.each(Object.entries(reference.adamw))('AdamW %s', (name, { lr, betas, eps, weight_decay, steps }) => {
  test('weights after every update, and the moments at the end, equal those of torch in float32', () => {
    const tensors = oracleTensors(`optim/adamw_${name}_float32.safetensors`)
    // The float32 file's start was overwritten by the run; the float64 file has the same one.
    const starts = oracleTensors(`optim/adamw_${name}.safetensors`)
    const numbers = (key: string) => tensors.get(key)?.data ?? []
    for (const key of ['w', 'b', 'm']) {
      const values = Float32Array.from(starts.get(`start.${key}`)?.data ?? [])
      const moments = zeroMoments(values.length)
      const options = { beta1: betas[0], beta2: betas[1], epsilon: eps, weightDecay: weight_decay }
      for (let time = 1; time <= steps; time++) {
        const learning = { values, gradient: numbers(`grad_${time}.${key}`), decays: true }
        adamStep(learning, moments, options, { time, rate: lr, factor: 1 })
        expect(relativeError(values, numbers(`after_${time}.${key}`))).toBeLessThan(1e-6)
      }
      expect(relativeError(moments.first, numbers(`exp_avg.${key}`))).toBeLessThan(1e-6)
      expect(relativeError(moments.second, numbers(`exp_avg_sq.${key}`))).toBeLessThan(1e-6)
    }
  })
})

test('a tensor that does not decay keeps its size where its gradient is zero', () => {
  const step = (decays: boolean): number => {
    const values = Float32Array.of(2)
    const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1 }
    adamStep({ values, gradient: [0], decays }, zeroMoments(1), options, { time: 1, rate: 0.5, factor: 1 })
    return values[0]
  }
  expect(step(false)).toBe(2)
  expect(step(true)).toBeCloseTo(1.9, 6) // 2 (1 − 0.5 · 0.1)
})

test('norms and clipped gradients equal those of torch', () => {
  const tensors = oracleTensors('optim/clip_grad_norm.safetensors')
  for (const { case: at, max_norm, total_norm } of reference.clip_grad_norm) {
    const keys = ['w', 'b', 'm']
    const before = keys.map((key) => tensors.get(`case_${at}.before.${key}`)?.data ?? [])
    const norm = globalNorm(before)
    expect(Math.abs(norm - total_norm)).toBeLessThanOrEqual(1e-6 * total_norm)
    const factor = clipFactor(norm, max_norm)
    keys.forEach((key, index) => {
      const clipped = Float32Array.from(before[index], (value) => value * factor)
      expect(relativeError(clipped, tensors.get(`case_${at}.after.${key}`)?.data ?? [])).toBeLessThan(1e-6)
    })
  }
  expect(clipFactor(100, 0)).toBe(1)
})

const plain = Object.entries(reference.schedules.cases).filter(([, { options }]) => Object.keys(options).length === 0)

test.each(plain)('the %s schedule gives the rates of transformers', (_, { kind, lr }) => {
  const { base_lr: rate, warmup_steps: warmupUpdates, total_steps: updates } = reference.schedules
  const type = scheduleTypes.find((name) => name === kind) as ScheduleType
  lr.forEach((expected, update) => {
    expect(rateAt(type, update, { rate, warmupUpdates, updates })).toBeCloseTo(expected, 12)
  })
})

test('inverse_sqrt halves the rate when four times the warm-up has passed', () => {
  const options = { rate: 1, warmupUpdates: 5, updates: 100 }
  expect(rateAt('inverse_sqrt', 5, options)).toBe(1)
  expect(rateAt('inverse_sqrt', 20, options)).toBe(0.5)
})

test('a constant rate does not warm up', () => {
  expect(rateAt('constant', 0, { rate: 3, warmupUpdates: 5, updates: 100 })).toBe(3)
})
