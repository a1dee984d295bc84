import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // Native sessions refuse typed arrays of another realm, so tests run in processes, not in worker threads.
    pool: 'forks',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    reporters: ['default', './test/closing-line.ts'],
    isolate: false, // loads each module once in a process, not once for each file
    maxWorkers: '100%',
    testTimeout: 60_000,
  },
})
