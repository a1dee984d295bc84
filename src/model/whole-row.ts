/**
 * @file All layers of a model as one graph, forward and back again, for devices that bring every output down: what lies
 * between layers then never crosses. The backward graph begins with the forward pass, whose products it feeds on.
 */
import { type Graph, makeGraph } from '../engine/backend.ts'
import { substitute } from '../engine/grad.ts'
import { input } from '../engine/ops.ts'
import type { Value } from '../engine/value.ts'
import type { AttentionGraphs } from './attention.ts'
import type { ModelConfig } from './config.ts'
import type { Keeping } from './forward.ts'
import { type LayerParts, namedInputs } from './layer.ts'

type Named = Readonly<Record<string, Value>>

export interface WholeGraphs {
  /** embedded [T, hidden], what the row brings, tensors of the layers → hidden [T, hidden]. */
  readonly forward: Graph
  /** The same, `d hidden`, `zeros` [T, keys] and totals so far → `d embedded` and the totals, by layer. */
  readonly backward: Graph
}

/** The name of a layer's own tensor in the whole graph. */
export function ofLayer(layer: number, name: string): string {
  return `layer ${layer} ${name}`
}

/** The name of what a row brings for a kind of layer. */
export function ofKind(kind: number, name: 'mask' | 'cos' | 'sin'): string {
  return `${name} of kind ${kind}`
}

const VIEWED: readonly string[] = ['mask', 'cos', 'sin'] satisfies Parameters<typeof ofKind>[1][]

function isViewed(name: string): name is Parameters<typeof ofKind>[1] {
  return VIEWED.includes(name)
}

export function buildWhole(
  config: ModelConfig,
  layers: readonly LayerParts[],
  attention: AttentionGraphs,
  keeping: Keeping,
): WholeGraphs {
  const inputs = namedInputs()
  /** A graph with some inputs given by values; the others are of the layer, or of its kind. */
  const inline = (graph: Graph, layer: number, given: Named): Named => {
    const values = graph.inputs.map((value): [Value, Value] => {
      const { name } = value.attributes
      if (name in given) return [value, given[name]]
      const own = isViewed(name) ? ofKind(config.kindOf[layer], name) : ofLayer(layer, name)
      return [value, inputs(own, value.shape)]
    })
    const outputs = substitute([...graph.outputs.values()], new Map(values))
    return Object.fromEntries([...graph.outputs.keys()].map((name, at) => [name, outputs[at]]))
  }
  const saving = keeping === 'products'
  const embedded = input('embedded', ['T', config.hiddenSize])
  let x: Value = embedded
  const forward = ({ project, mix }: LayerParts, layer: number, x: Value): Named => {
    const projected = inline(saving ? project.forwardSaving : project.forward, layer, { x })
    const attended = inline(attention.forward, layer, projected)
    const mixed = inline(saving ? mix.forwardSaving : mix.forward, layer, { x, ...attended })
    return { x, ...projected, ...attended, ...mixed }
  }
  const states = layers.map((parts, layer) => {
    const state = forward(parts, layer, x)
    x = state['y']
    return state
  })
  const totals: Record<string, Value>[] = []
  const zeros = input('zeros', ['T', config.keyValueHeads * config.headSize])
  let dy: Value = input('d hidden', x.shape)
  for (let layer = layers.length - 1; layer >= 0; layer--) {
    const { project, mix } = layers[layer]
    // What a pass has made is made again, of what the layer begins with.
    const state = saving ? states[layer] : forward(layers[layer], layer, states[layer]['x'])
    const mixed = inline(saving ? mix.backwardSaved : mix.backward, layer, { ...state, 'd y': dy })
    const so = { 'd key so far': zeros, 'd value so far': zeros }
    const attended = inline(attention.backward, layer, { ...state, 'd attended': mixed['d attended'], ...so })
    const given = { ...state, ...attended, 'd rest': mixed['d x'] }
    const projected = inline(saving ? project.backwardSaved : project.backward, layer, given)
    dy = projected['d x']
    totals[layer] = {}
    for (const name of mix.learned) totals[layer][ofLayer(layer, `d ${name}`)] = mixed[`d ${name}`]
    for (const name of project.learned) totals[layer][ofLayer(layer, `d ${name}`)] = projected[`d ${name}`]
  }
  // Sessions compute the last output first: so a layer's gradients are made when the way back comes by, not after it.
  return { forward: makeGraph({ hidden: x }), backward: makeGraph(Object.assign({ 'd embedded': dy }, ...totals)) }
}
