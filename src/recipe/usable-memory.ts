/** @file The memory that this process may use. */
import { readFileSync } from 'node:fs'
import { freemem, totalmem } from 'node:os'
import { posix } from 'node:path'

/** In bytes. */
export interface UsableMemory {
  /** Of the process: the least limit of a control group it is in, where that is less than what the machine has. */
  readonly limit: number
  readonly free: number
}

export function usableMemory(): UsableMemory {
  return memoryWithin(controlGroups(readText), { limit: totalmem(), free: freemem() })
}

/** What is left of the machine's memory within control groups. */
export function memoryWithin(groups: readonly UsableMemory[], machine: UsableMemory): UsableMemory {
  return {
    limit: Math.min(machine.limit, ...groups.map(({ limit }) => limit)),
    free: Math.max(0, Math.min(machine.free, ...groups.map(({ free }) => free))),
  }
}

type Read = (path: string) => string | undefined

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Where the two versions of control groups keep their numbers. */
const VERSIONS = [
  {
    line: /^0::(\/.*)$/m,
    root: '/sys/fs/cgroup',
    limit: 'memory.max',
    used: 'memory.current',
    cached: /^inactive_file (\d+)$/m,
  },
  {
    line: /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m,
    root: '/sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    used: 'memory.usage_in_bytes',
    cached: /^total_inactive_file (\d+)$/m,
  },
]

/**
 * The groups with a limit that this process is in, with those around them: Slurm and systemd limit a group above.
 * Pages of files that were read count as used, and are free as soon as somebody needs them.
 */
export function controlGroups(read: Read): UsableMemory[] {
  const own = read('/proc/self/cgroup') ?? ''
  return VERSIONS.flatMap(({ line, root, limit, used, cached }) => {
    const path = line.exec(own)?.[1]
    if (path === undefined) return []
    return ancestors(path).flatMap((group) => {
      const text = (name: string): string => read(posix.join(root, group, name)) ?? ''
      const [most, usage] = [text(limit), text(used)].map((number) => Number.parseInt(number, 10))
      if (Number.isNaN(most) || Number.isNaN(usage)) return []
      return [{ limit: most, free: most - usage + Number(cached.exec(text('memory.stat'))?.[1] ?? 0) }]
    })
  })
}

/** In a container the path may be the host's, of which only the root is seen. */
function ancestors(path: string): string[] {
  return path === '/' ? [path] : [path, ...ancestors(posix.dirname(path))]
}
