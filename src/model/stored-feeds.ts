/** @file Stored weights become float32 just before a program needs them, in a few buffers that the next one overwrites. */
import {
  type Backend,
  type Feeds,
  type Graph,
  makeGraph,
  type Program,
  type Tensor,
  type Tensors,
} from '../engine/backend.ts'
import { elementCount } from '../engine/dims.ts'
import { input } from '../engine/ops.ts'
import { type Form, formOf, isStored, type StoredTensor, storedRows } from '../engine/stored.ts'
import type { Workspace } from './workspace.ts'

/** Numbers that are decoded at once: few enough that what is between stays in the caches of a processor. */
const PIECE = 1 << 20

export interface StoredFeeds {
  /** What a graph is fed, with its stored tensors in float32 until the next call. */
  inFloat32(graph: Graph, feeds: Feeds): Promise<Tensors>
  dispose(): Promise<void>
}

/** The buffer that each stored input of a graph is decoded into: the largest first, so that graphs share them well. */
export function slotsOf({ inputs }: Graph, isStoredInput: (name: string) => boolean): ReadonlyMap<string, number> {
  const stored = inputs.filter(({ attributes }) => isStoredInput(attributes.name))
  const size = (value: Graph['inputs'][number]): number => elementCount(value.shape.map(Number))
  stored.sort((a, b) => size(b) - size(a) || (a.attributes.name < b.attributes.name ? -1 : 1))
  return new Map(stored.map(({ attributes }, slot) => [attributes.name, slot]))
}

/**
 * The conversion is a program of its own: inside those of the layers, its results would lie in the arena of each of them,
 * or take fresh pages in every run, which costs more than the conversion.
 */
export function storedFeeds(backend: Backend, workspace: Workspace): StoredFeeds {
  const programs = new Map<string, Promise<Program>>()
  /** What stands in each buffer. */
  const decoded = new Map<string, StoredTensor>()
  const programFor = (form: Form, columns: number): Promise<Program> => {
    const key = JSON.stringify([form, columns])
    const graph = makeGraph({ float32: input('stored', ['R', columns]) })
    const known = programs.get(key) ?? backend.compile(graph, {}, { stored: form })
    programs.set(key, known)
    return known
  }
  const decode = async (tensor: StoredTensor, slot: string): Promise<Tensor> => {
    const into = workspace.take(slot, tensor.shape)
    if (decoded.get(slot) === tensor) return into
    decoded.delete(slot)
    const [rows, columns] = tensor.shape
    const program = await programFor(formOf(tensor), columns)
    const step = Math.max(1, Math.floor(PIECE / columns))
    for (let start = 0; start < rows; start += step) {
      const end = Math.min(start + step, rows)
      const data = into.data.subarray(start * columns, end * columns)
      await program.run(
        { stored: storedRows(tensor, start, end) },
        { float32: { data, shape: [end - start, columns] } },
      )
    }
    decoded.set(slot, tensor)
    return into
  }
  return {
    inFloat32: async (graph, feeds) => {
      const tensors: Record<string, Tensor> = {}
      const slots = slotsOf(graph, (name) => name in feeds && isStored(feeds[name]))
      for (const { attributes } of graph.inputs) {
        const feed = feeds[attributes.name]
        if (feed === undefined) continue
        tensors[attributes.name] = isStored(feed) ? await decode(feed, `weight ${slots.get(attributes.name)}`) : feed
      }
      return tensors
    },
    dispose: async () => {
      for (const program of programs.values()) await (await program).dispose()
    },
  }
}
