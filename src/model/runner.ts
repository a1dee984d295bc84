/** @file What runs the graphs of a model: its programs, compiled when first needed, or a device. */
import type { Backend, Feeds, Graph, Program, Tensors } from '../engine/backend.ts'
import type { Device } from '../engine/device.ts'
import { storedFeeds } from './stored-feeds.ts'
import type { KeptWeights } from './weights.ts'
import type { Workspace } from './workspace.ts'

export interface Runner {
  run(graph: Graph, feeds: Feeds, into: Tensors): Promise<void>
  dispose(): Promise<void>
}

export function programRunner(backend: Backend, workspace: Workspace): Runner {
  const programs = new Map<Graph, Promise<Program>>()
  const stored = storedFeeds(backend, workspace)
  const compiled = (graph: Graph): Promise<Program> => {
    const known = programs.get(graph) ?? backend.compile(graph)
    programs.set(graph, known)
    return known
  }
  return {
    run: async (graph, feeds, into) => (await compiled(graph)).run(await stored.inFloat32(graph, feeds), into),
    dispose: async () => {
      for (const program of programs.values()) await (await program).dispose()
      await stored.dispose()
    },
  }
}

/** The weights stay on the device from their first use: they may not learn. */
export function deviceRunner(device: Device, { layers, head }: KeptWeights): Runner {
  for (const tensors of [...layers, head]) for (const tensor of Object.values(tensors)) device.keep(tensor)
  return {
    run: async (graph, feeds, into) => {
      await device.run(graph, feeds, into)
    },
    dispose: () => device.dispose(),
  }
}
