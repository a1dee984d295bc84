/** What `estimate` prints. */
import { expect, test } from 'vitest'
import type { Estimate } from '../recipe/estimate.ts'
import { estimateLines } from './estimate-command.ts'

const found: Estimate = {
  base_model: 'models/small',
  parameters: 135e6,
  trained: 4.9e6,
  memory: {
    program: 0.2e9,
    weights: 0.5e9,
    learning: 0.1e9,
    reference: 0,
    decoded: 0,
    activations: 0.7e9,
    programs: 0.3e9,
  },
  peak: 1.8e9,
  free: 4e9,
  limit: 8e9,
  gradient_checkpointing: false,
  groups: 3200,
  updates: 100,
  rows_per_update: 8.2,
  tokens_per_update: 8000,
  largest_row: 1024,
  seconds_per_update: 20,
  seconds: 2000,
  checkpoint_bytes: 2e9,
  fits: true,
  advice: [],
}

test('a run that fits has its time', () => {
  const lines = estimateLines(found)
  expect(lines).toContain('20.0 s an update, 33:20 in all, without evaluation; 2.0 GB a checkpoint')
  expect(lines.at(-1)).toBe('It fits.')
})

test('one that does not has none, and what would help', () => {
  const lines = estimateLines({
    ...found,
    fits: false,
    seconds: null,
    seconds_per_update: null,
    advice: ['with --load_in_4bit it takes 1.0 GB'],
  })
  expect(lines).toContain('how long it takes is not tried; 2.0 GB a checkpoint')
  expect(lines.slice(-2)).toEqual(['It does not fit into what is free.', '→ with --load_in_4bit it takes 1.0 GB'])
})
