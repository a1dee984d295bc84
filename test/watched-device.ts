/** @file A device that notes what crosses between it and the processor. */
import type { Device } from '../src/engine/device.ts'
import { elementCount } from '../src/engine/dims.ts'

type Shaped = { readonly shape: readonly number[] }

function countOf(tensors: readonly Shaped[]): number {
  return tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0)
}

/** Numbers that go up and come down with each run of a graph; weights, which are brought once, do not count. */
export function watched(own: Device) {
  const crossed: { readonly up: number; readonly down: number }[] = []
  const weights = new Set<unknown>()
  const device: Device = {
    ...own,
    keep: (tensor) => {
      weights.add(tensor)
      own.keep(tensor)
    },
    run: async (graph, feeds, into = {}) => {
      const fed = graph.inputs.map(({ attributes: { name } }) => feeds[name]).filter((feed) => !weights.has(feed))
      crossed.push({ up: countOf(fed), down: countOf(Object.values(into)) })
      return own.run(graph, feeds, into)
    },
  }
  return { device, crossed }
}
