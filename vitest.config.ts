import { defineConfig } from 'vitest/config'
import { SlowFirst } from './test/slow-first.ts'

export default defineConfig({
  test: {
    // Native sessions refuse typed arrays of another realm, so tests run in processes, not in worker threads.
    pool: 'forks',
    globalSetup: './test/setup.ts',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'web/**/*.test.ts'],
    reporters: ['default', './test/closing-line.ts'],
    sequence: { sequencer: SlowFirst },
    isolate: false, // loads each module once in a process, not once for each file
    maxWorkers: '100%',
    // The slow stage does many times as much, and machines are shared.
    testTimeout: process.env['STEPDPO_STORM'] === undefined ? 120_000 : 600_000,
    hookTimeout: 300_000,
  },
})
