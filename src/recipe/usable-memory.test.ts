import { totalmem } from 'node:os'
import { expect, test } from 'vitest'
import { controlGroups, memoryWithin, usableMemory } from './usable-memory.ts'

function readFrom(files: Readonly<Record<string, string>>) {
  return (path: string): string | undefined => (Object.hasOwn(files, path) ? files[path] : undefined)
}

const MACHINE = { limit: 24e9, free: 20e9 }

test('pages of files that were read are free, in both versions of control groups', () => {
  const second = readFrom({
    '/proc/self/cgroup': '0::/\n',
    '/sys/fs/cgroup/memory.max': '3000000000\n',
    '/sys/fs/cgroup/memory.current': '2900000000\n',
    '/sys/fs/cgroup/memory.stat': 'anon 300000000\nfile 2600000000\ninactive_anon 7\ninactive_file 2500000000\n',
  })
  expect(memoryWithin(controlGroups(second), MACHINE)).toEqual({ limit: 3e9, free: 2.6e9 })
  const first = readFrom({
    '/proc/self/cgroup': '5:cpu,cpuacct:/\n4:hugetlb,memory:/job\n',
    '/sys/fs/cgroup/memory/job/memory.limit_in_bytes': '3000000000\n',
    '/sys/fs/cgroup/memory/job/memory.usage_in_bytes': '2900000000\n',
    '/sys/fs/cgroup/memory/job/memory.stat': 'inactive_file 1\ntotal_inactive_file 2500000000\n',
  })
  expect(memoryWithin(controlGroups(first), MACHINE)).toEqual({ limit: 3e9, free: 2.6e9 })
})

test('a group further up limits too, and one whose limit is more than the machine has does not', () => {
  const read = readFrom({
    '/proc/self/cgroup': '0::/slurm/job_7/step_0\n',
    '/sys/fs/cgroup/slurm/job_7/step_0/memory.max': 'max\n',
    '/sys/fs/cgroup/slurm/job_7/step_0/memory.current': '500000000\n',
    '/sys/fs/cgroup/slurm/job_7/memory.max': '8000000000\n',
    '/sys/fs/cgroup/slurm/job_7/memory.current': '1000000000\n',
    '/sys/fs/cgroup/slurm/memory.max': '64000000000\n',
    '/sys/fs/cgroup/slurm/memory.current': '10000000000\n',
  })
  expect(memoryWithin(controlGroups(read), MACHINE)).toEqual({ limit: 8e9, free: 7e9 })
})

test("what is free is never more than the machine's, nor less than nothing", () => {
  expect(memoryWithin([], MACHINE)).toEqual(MACHINE)
  expect(memoryWithin([{ limit: 9e18, free: 9e18 }], MACHINE)).toEqual(MACHINE)
  expect(memoryWithin([{ limit: 1e9, free: -5 }], MACHINE)).toEqual({ limit: 1e9, free: 0 })
  expect(controlGroups(() => undefined)).toEqual([])
})

test('of this process it is something, and no more than the machine has', () => {
  const { limit, free } = usableMemory()
  expect(free).toBeGreaterThan(0)
  expect(free).toBeLessThanOrEqual(limit)
  expect(limit).toBeLessThanOrEqual(totalmem())
})
