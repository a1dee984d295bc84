/** @file What all benchmarks share: taking times, and showing what came of them. */
import { tableLines } from '../src/cli/table.ts'

/** A positive whole number from the environment. */
export function setting(name: string, usual: number): number {
  const text = process.env[name] ?? String(usual)
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new Error(`${name}: expected a whole number from 1, found '${text}'`)
}

/** Milliseconds of several runs, one after another. */
export async function timesOf(repeats: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  for (let repeat = 0; repeat < repeats; repeat++) {
    const started = performance.now()
    await work()
    times.push(performance.now() - started)
  }
  return times
}

/** The middle one, or the mean of the two in the middle. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.floor(sorted.length / 2)]) / 2
}

/** `1.25 (1.19–1.31)`: the median with the smallest and the largest. */
export function showSpread(numbers: readonly number[], digits: number): string {
  const [least, middle, most] = [Math.min(...numbers), median(numbers), Math.max(...numbers)]
  return `${middle.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}

/** The most memory that this process had so far, in GB of 1e9 bytes. */
export function peakGb(): number {
  return (process.resourceUsage().maxRSS * 1024) / 1e9
}

export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  for (const line of tableLines({ head, rows })) console.log(line)
}
