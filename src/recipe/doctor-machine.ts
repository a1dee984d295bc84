/** @file The machine as doctor sees it: Node, processor, memory, disk. */
import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os'
import { dirname, resolve } from 'node:path'
import { cacheFolder } from '../base/cache-folder.ts'
import { isWritable } from '../base/files.ts'
import type { Check } from './doctor-settings.ts'
import { usableMemory } from './usable-memory.ts'

/** As in `engines` of package.json. */
const NODE = [20, 19]
/** What a run with the smallest models takes. */
const LITTLE_MEMORY = 1e9
const LITTLE_DISK = 1e9

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`

export function machineChecks(environment: Readonly<Record<string, string | undefined>>): Check[] {
  return [
    nodeCheck(),
    { area: 'machine', name: 'system', state: 'ok', value: `${platform()} ${release()} ${arch()}` },
    processorCheck(),
    ...vectorChecks(),
    memoryCheck(),
    diskCheck('disk of the cache', cacheFolder(environment), 'set STEPDPO_CACHE to a folder on another disk'),
    diskCheck('disk of this folder', '.', 'choose an --output_dir on another disk'),
  ]
}

function nodeCheck(): Check {
  const { node } = process.versions
  const [major, minor] = node.split('.').map(Number)
  const isNew = major > NODE[0] || (major === NODE[0] && minor >= NODE[1])
  const fix = `install Node ${NODE.join('.')} or newer: https://nodejs.org`
  return { area: 'machine', name: 'node', value: node, ...(isNew ? { state: 'ok' } : { state: 'failed', fix }) }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // no such file on other systems
  }
}

/** Processors that the control group may use, versions 2 and 1; undefined where it sets no limit. */
function processorQuota(): number | undefined {
  const [quota, period] = /^\d+ \d+/.test(readText('/sys/fs/cgroup/cpu.max'))
    ? readText('/sys/fs/cgroup/cpu.max').split(' ').map(Number)
    : ['quota', 'period'].map((name) => Number(readText(`/sys/fs/cgroup/cpu/cpu.cfs_${name}_us`)))
  return quota > 0 && period > 0 ? quota / period : undefined
}

function processorCheck(): Check {
  const [{ model } = { model: 'unknown' }] = cpus()
  const threads = availableParallelism()
  const quota = processorQuota()
  const value = `${model.trim()}, ${threads} threads by default`
  if (quota === undefined || quota >= threads) return { area: 'machine', name: 'processor', state: 'ok', value }
  return {
    area: 'machine',
    name: 'processor',
    state: 'absent',
    value: `${value}, but the container may use ${Number(quota.toFixed(1))}`,
    fix: `--threads ${Math.max(1, Math.round(quota))}`,
  }
}

/** Instructions for vectors, where the system says what there is. */
function vectorChecks(): Check[] {
  const flags = /^flags\s*:(.*)$/m.exec(readText('/proc/cpuinfo'))?.[1].split(' ')
  if (flags === undefined) return []
  const found = ['avx2', 'avx512f', 'avx512_vnni', 'amx_int8'].filter((flag) => flags.includes(flag))
  const value = found.length === 0 ? 'none' : found.join(' ')
  const fix = 'a processor with AVX2 computes several times faster'
  const hasAvx2 = found.includes('avx2')
  return [{ area: 'machine', name: 'vectors', value, ...(hasAvx2 ? { state: 'ok' } : { state: 'absent', fix }) }]
}

function memoryCheck(): Check {
  const { limit, free } = usableMemory()
  const value = `${gigabytes(free)} free of ${gigabytes(limit)}${limit < totalmem() ? ' (the limit of the container)' : ''}`
  const fix = 'end other programs, or give the container more'
  return {
    area: 'machine',
    name: 'memory',
    value,
    ...(free > LITTLE_MEMORY ? { state: 'ok' } : { state: 'failed', fix }),
  }
}

function diskCheck(name: string, path: string, fix: string): Check {
  let folder = resolve(path)
  while (!existsSync(folder)) folder = dirname(folder) // it is made when first needed
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  const value = `${gigabytes(free)} free in ${resolve(path)}`
  if (!isWritable(folder)) return { area: 'machine', name, state: 'failed', value: `${folder} cannot be written`, fix }
  return { area: 'machine', name, value, ...(free > LITTLE_DISK ? { state: 'ok' } : { state: 'failed', fix }) }
}
