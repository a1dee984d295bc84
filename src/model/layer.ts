/**
 * @file A decoder layer as two parts around attention: `project` (x → query, key, value) and `mix` (x and what was
 * attended → the next x). A family says what they compute; here they become graphs, forward and backward.
 */
import { type Graph, makeGraph } from '../engine/backend.ts'
import type { Shape } from '../engine/dims.ts'
import { gradients, substitute } from '../engine/grad.ts'
import { add, concat, input, matmul, mul, reshape, rotary, slice, transpose } from '../engine/ops.ts'
import { inOrder, type Value } from '../engine/value.ts'
import type { ModelConfig } from './config.ts'
import type { FamilyConfig } from './config-fields.ts'
import type { Norm } from './norm.ts'

/** A product with a weight [outputs, inputs], perhaps with a bias. */
export interface LinearShape {
  readonly outputs: number
  readonly inputs: number
  readonly bias: boolean
}

/** What a family needs to say what a layer computes. Values of tokens are [T, columns]. */
export interface LayerBuilder {
  readonly config: ModelConfig
  linear(module: string, x: Value): Value
  norm(module: string, x: Value): Value
  /** Turns heads [T, heads, headSize] by their positions, in a layer that has any. */
  turn(heads: Value): Value
}

export interface Projected {
  /** [T, heads, headSize] */
  readonly query: Value
  /** [T, keyValueHeads, headSize] */
  readonly key: Value
  readonly value: Value
}

/** What a layer of one family is. Module names are those of the checkpoint, below `model.layers.N.` */
export interface Family {
  /** Reads a config.json; `where` names it. @throws UserError for what is not supported. */
  parse(json: unknown, where: string): FamilyConfig
  linears(config: ModelConfig): ReadonlyMap<string, LinearShape>
  /** How states are normalised, in the layers and before the head. */
  readonly norm: Norm
  /** The norms of a layer with their columns. */
  norms(config: ModelConfig): ReadonlyMap<string, number>
  /** The module of the norm before the head. */
  readonly finalNorm: string
  readonly headBias: boolean
  project(build: LayerBuilder, x: Value): Projected
  mix(build: LayerBuilder, x: Value, attended: Value): Value
}

/** Which weights of a layer learn: none, low-rank factors on some linears, or all. */
export type Learning =
  | { readonly kind: 'none' }
  | { readonly kind: 'full' }
  | {
      readonly kind: 'lora'
      readonly rank: number
      readonly scale: number
      readonly targets: readonly string[]
      readonly dropout: boolean
    }

/** One half of a layer: its forward graph, and its backward graph given d loss / d its outputs. */
export interface Part {
  /** Outputs, without anything kept. */
  readonly forward: Graph
  /** Outputs, and under `saved` names the products that `backwardSaved` feeds on. */
  readonly forwardSaving: Graph
  /**
   * From the inputs alone: everything between is computed again. Gradients of learning tensors are added to what they
   * are so far, as the last thing, element by element: the sums may be written over what was fed.
   */
  readonly backward: Graph
  readonly backwardSaved: Graph
  /** The names of what is saved, with the number of columns. */
  readonly saved: ReadonlyMap<string, number>
  /** Names of the tensors that learn. */
  readonly learned: readonly string[]
}

const TOKENS = 'T'

export type InputOf = (name: string, shape: Shape) => Value<'input'>

/** Inputs of a graph, each made when it is first asked for. `onMade` hears of each. */
export function namedInputs(onMade: (value: Value<'input'>) => void = () => {}): InputOf {
  const inputs = new Map<string, Value<'input'>>()
  return (name, shape) => {
    const known = inputs.get(name)
    if (known !== undefined) return known
    const made = input(name, shape)
    inputs.set(name, made)
    onMade(made)
    return made
  }
}

/** Turns the first dimensions of each head [N, heads, headSize] by cos and sin [N, half of these dimensions]. */
export function turnHeads(heads: Value, cos: Value, sin: Value): Value {
  const [headSize, size] = [Number(heads.shape[2]), 2 * Number(cos.shape[1])]
  if (size === headSize) return rotary(heads, cos, sin)
  return concat([rotary(slice(heads, 2, 0, size), cos, sin), slice(heads, 2, size, headSize)], 2)
}

/** The norm of a module, with its tensors from `weight`. */
export function normOf({ norm, norms }: Family, config: ModelConfig, weight: InputOf): LayerBuilder['norm'] {
  const columns = norms(config)
  return (module, x) => {
    const width = columns.get(module)
    if (width === undefined) throw new Error(`layer: no norm is called ${module}`)
    return norm.apply(x, (part) => weight(`${module}.${part}`, [width]), config.normEpsilon)
  }
}

/** A layer under construction: the builder, and what it has met. */
interface Recorder {
  readonly build: LayerBuilder
  /** Outputs of products, by name: cheap to keep, dear to compute again. */
  readonly products: Map<string, Value>
  /** Inputs that learn. */
  readonly learned: Value<'input'>[]
}

function record(family: Family, config: ModelConfig, { learning, turned }: LayerOptions): Recorder {
  const linears = family.linears(config)
  const products = new Map<string, Value>()
  const learned: Value<'input'>[] = []
  const weight = namedInputs((value) => {
    if (learning.kind === 'full') learned.push(value)
  })
  const table = namedInputs()
  const lowRank = (module: string, x: Value, { outputs, inputs }: LinearShape): Value | undefined => {
    if (learning.kind !== 'lora' || !learning.targets.includes(module)) return undefined
    const a = input(`${module}.lora_A.weight`, [learning.rank, inputs])
    const b = input(`${module}.lora_B.weight`, [outputs, learning.rank])
    learned.push(a, b)
    // B is turned first: its gradient is then a product of few rows, which runtimes compute faster than one of few columns.
    const kept = learning.dropout ? mul(x, input(`${module}.dropout`, [TOKENS, inputs])) : x
    const low = matmul(kept, a, { transposeB: true, scale: learning.scale }) // [T, rank]
    products.set(`${module}.low`, low)
    return matmul(low, transpose(b, [1, 0]))
  }
  const linear = (module: string, x: Value): Value => {
    const shape = linears.get(module)
    if (shape === undefined) throw new Error(`layer: no linear is called ${module}`)
    const base = matmul(x, weight(`${module}.weight`, [shape.outputs, shape.inputs]), { transposeB: true })
    const biased = shape.bias ? add(base, weight(`${module}.bias`, [shape.outputs])) : base
    const low = lowRank(module, x, shape)
    const y = low === undefined ? biased : add(biased, low)
    products.set(`${module}.out`, y)
    return y
  }
  const half = [TOKENS, turned / 2]
  const turn = (heads: Value): Value =>
    turned === 0 ? heads : turnHeads(heads, table('cos', half), table('sin', half))
  return { build: { config, linear, norm: normOf(family, config, weight), turn }, products, learned }
}

type Named = Readonly<Record<string, Value>>

/** Builds both directions of a part. `rest` is added to the gradient of an input: it comes from the other part. */
function makePart(recorder: Recorder, inputs: Named, outputs: Named, rest: Named): Part {
  const seeds = Object.entries(outputs).map(([name, value]) => ({ value, cotangent: input(`d ${name}`, value.shape) }))
  const learned = Object.fromEntries(recorder.learned.map((value) => [value.attributes.name, value]))
  const names = [...Object.keys(inputs), ...Object.keys(learned)]
  const totals = Object.entries(learned).map(([name, value]) => [name, input(soFar(name), value.shape)])
  const more: Named = { ...rest, ...Object.fromEntries(totals) }
  const grads = gradients(seeds, [...Object.values(inputs), ...recorder.learned]).map((grad, at) =>
    names[at] in more ? add(more[names[at]], grad) : grad,
  )
  const needed = new Set(inOrder(grads))
  const saved = [...recorder.products].filter(([, value]) => needed.has(value))
  const replacements = new Map(saved.map(([name, value]) => [value, input(name, value.shape)]))
  const nameGrads = (values: readonly Value[]): Named =>
    Object.fromEntries(values.map((value, at) => [`d ${names[at]}`, value]))
  return {
    forward: makeGraph(outputs),
    forwardSaving: makeGraph({ ...outputs, ...Object.fromEntries(saved) }),
    backward: makeGraph(nameGrads(grads)),
    backwardSaved: makeGraph(nameGrads(substitute(grads, replacements))),
    saved: new Map(saved.map(([name, value]) => [name, Number(value.shape[1])])),
    learned: Object.keys(learned),
  }
}

/** The feed of the total to which the gradient of a learning tensor is added. */
export function soFar(name: string): string {
  return `d ${name} so far`
}

/** The two parts of every layer of a model. */
export interface LayerParts {
  /** x [T, hidden] → query [T, heads · headSize], key and value [T, keyValueHeads · headSize]. */
  readonly project: Part
  /** x [T, hidden] and attended [T, heads · headSize] → y [T, hidden]. */
  readonly mix: Part
}

/** What the graphs of one model's layers differ in. */
export interface LayerOptions {
  readonly learning: Learning
  /** How many dimensions of a head are turned; 0 where the layer has no rotary positions. */
  readonly turned: number
}

export function buildLayer(family: Family, config: ModelConfig, options: LayerOptions): LayerParts {
  const hidden = [TOKENS, config.hiddenSize]
  const queryWidth = config.heads * config.headSize
  const keyWidth = config.keyValueHeads * config.headSize
  const first = record(family, config, options)
  const x = input('x', hidden)
  const { query, key, value } = family.project(first.build, x)
  const flat = {
    query: reshape(query, [TOKENS, queryWidth]),
    key: reshape(key, [TOKENS, keyWidth]),
    value: reshape(value, [TOKENS, keyWidth]),
  }
  const second = record(family, config, options)
  const again = input('x', hidden)
  const attended = input('attended', [TOKENS, queryWidth])
  const y = family.mix(second.build, again, attended)
  return {
    project: makePart(first, { x }, flat, { x: input('d rest', hidden) }),
    mix: makePart(second, { x: again, attended }, { y }, {}),
  }
}
