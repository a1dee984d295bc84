/** @file What families read of config.json alike, under the names of transformers 4 and 5. */
import { z } from 'zod'
import { UserError } from '../base/errors.ts'
import type { LayerKind, ModelConfig, Rope } from './config.ts'
import { parseRopeScaling, type RopeFields, type RopeReach, ropeFields } from './rope-scaling.ts'

/** More than any model has, and few enough to list. */
const MAX_LAYERS = 4096

export const positive = z.number().int().positive()

/** Fields that every family has, with the defaults that most have. */
export const decoderFields = z.looseObject({
  vocab_size: positive,
  hidden_size: positive,
  intermediate_size: positive,
  num_hidden_layers: positive.max(MAX_LAYERS),
  num_attention_heads: positive,
  num_key_value_heads: positive.nullish(),
  head_dim: positive.nullish(),
  hidden_act: z.string().default('silu'),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().optional(),
  rope_scaling: ropeFields.nullish(),
  rope_parameters: ropeFields.nullish(),
  max_position_embeddings: positive.default(2048),
  original_max_position_embeddings: positive.optional(),
  tie_word_embeddings: z.boolean().default(false),
})

export type DecoderFields = z.infer<typeof decoderFields>

/** Of a configuration, what families read of it. */
export type FamilyConfig = Omit<ModelConfig, 'family'>

/** The content of a config.json by a schema. @throws UserError naming the field that does not fit. */
export function readFields<S extends z.ZodType>(schema: S, json: unknown, where: string): z.output<S> {
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new UserError(`${where}: ${issue.path.join('.')}: ${issue.message}`)
}

/** @throws UserError where a field has another value than the ones that a family knows. */
export function expectValue(found: unknown, known: readonly unknown[], name: string, where: string): void {
  if (known.includes(found)) return
  const expected = known.map((value) => JSON.stringify(value)).join(' or ')
  throw new UserError(`${where}: ${name} ${JSON.stringify(found)} is not supported, expected ${expected}`)
}

/** The sizes of a model, with what is the same in most families. @throws UserError for heads that do not fit. */
export function decoderConfig(fields: DecoderFields, where: string): Omit<FamilyConfig, 'kinds' | 'kindOf'> {
  const heads = fields.num_attention_heads
  const keyValueHeads = fields.num_key_value_heads ?? heads
  const headSize = fields.head_dim ?? fields.hidden_size / heads
  if (heads % keyValueHeads !== 0 || headSize % 2 !== 0) {
    throw new UserError(
      `${where}: expected heads of even size in whole groups, found ${heads} heads of size ${headSize} ` +
        `on ${keyValueHeads} key-value heads`,
    )
  }
  return {
    vocabularySize: fields.vocab_size,
    hiddenSize: fields.hidden_size,
    intermediateSize: fields.intermediate_size,
    layers: fields.num_hidden_layers,
    heads,
    keyValueHeads,
    headSize,
    normEpsilon: fields.rms_norm_eps,
    maxPositions: fields.max_position_embeddings,
    tiedHead: fields.tie_word_embeddings,
    biased: [],
    attentionScale: 1 / Math.sqrt(headSize),
    embeddingScale: 1,
  }
}

/** The fields in which the rotary positions of some layers stand, and what holds where they do not say. */
export interface RopeSource {
  /** `rope_parameters`, or its older name `rope_scaling`. */
  readonly fields: RopeFields | null | undefined
  readonly theta: number
  readonly reach: RopeReach
  readonly headSize: number
  /** The part of each head that is turned. */
  readonly part: number
}

/** @throws UserError for a kind of scaling that is not supported, or a part of a head that cannot be turned. */
export function readRope({ fields, theta, reach, headSize, part }: RopeSource, where: string): Rope {
  const size = Math.trunc(headSize * (fields?.partial_rotary_factor ?? part))
  if (size === 0 || size % 2 !== 0) {
    throw new UserError(
      `${where}: expected an even number of rotary dimensions in a head, found ${size} of ${headSize}`,
    )
  }
  return { theta: fields?.rope_theta ?? theta, scaling: parseRopeScaling({ fields, reach, size }, where), size }
}

export function statedReach(fields: DecoderFields): RopeReach {
  return { positions: fields.max_position_embeddings, original: fields.original_max_position_embeddings }
}

/** What is said of rotary positions. The older name outweighs the newer one where both stand there, as in transformers. */
export function statedRope({ rope_scaling: scaling, rope_parameters: parameters }: DecoderFields): RopeFields {
  return (scaling && Object.keys(scaling).length > 0 ? scaling : parameters) ?? {}
}

/** The rotary positions of a model whose layers share them. `part` of each head is turned where nothing else is said. */
export function commonRope(fields: DecoderFields, headSize: number, where: string, part = 1): Rope {
  const own = statedRope(fields)
  return readRope({ fields: own, theta: fields.rope_theta ?? 10000, reach: statedReach(fields), headSize, part }, where)
}

/** The kinds of so many layers, each once. */
export function layerKinds(
  layers: number,
  kindAt: (layer: number) => LayerKind,
): Pick<ModelConfig, 'kinds' | 'kindOf'> {
  const kinds = new Map<string, LayerKind>()
  const keys = Array.from({ length: layers }, (_, layer) => {
    const kind = kindAt(layer)
    const key = JSON.stringify([kind.window, kind.rope])
    if (!kinds.has(key)) kinds.set(key, kind)
    return key
  })
  const order = [...kinds.keys()]
  return { kinds: [...kinds.values()], kindOf: keys.map((key) => order.indexOf(key)) }
}

export const FULL = 'full_attention'
export const SLIDING = 'sliding_attention'

/** Fields of models of which some layers see the last tokens only. */
export const windowFields = {
  layer_types: z.array(z.string()).nullish(),
  sliding_window: positive.nullish(),
}

/** For each layer its window, by the types of layers. @throws UserError for other types, or too few of them. */
export function windowsOf(
  types: readonly string[],
  window: number | null | undefined,
  layers: number,
  where: string,
): (number | null)[] {
  if (types.length < layers) throw new UserError(`${where}: expected ${layers} layer_types, found ${types.length}`)
  return types.slice(0, layers).map((type) => {
    expectValue(type, [FULL, SLIDING], 'a layer type', where)
    if (type === FULL) return null
    if (window === null || window === undefined) {
      throw new UserError(`${where}: layers of type ${SLIDING} need sliding_window, found none`)
    }
    return window
  })
}
