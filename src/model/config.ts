/** @file config.json → ModelConfig: what the engine must know of a model. Reads the names of transformers 4 and 5. */
import { z } from 'zod'
import { UserError } from '../base/errors.ts'

/** How rotary frequencies are changed for longer contexts. */
export type RopeScaling =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3'
      readonly factor: number
      readonly lowFrequencyFactor: number
      readonly highFrequencyFactor: number
      readonly originalPositions: number
    }

export interface ModelConfig {
  readonly family: 'llama' | 'mistral'
  readonly vocabularySize: number
  readonly hiddenSize: number
  readonly intermediateSize: number
  readonly layers: number
  readonly heads: number
  readonly keyValueHeads: number
  readonly headSize: number
  readonly normEpsilon: number
  readonly ropeTheta: number
  readonly ropeScaling: RopeScaling
  readonly maxPositions: number
  /** A token sees this many tokens, itself included; null sees all before it. */
  readonly slidingWindow: number | null
  readonly tiedHead: boolean
  readonly attentionBias: boolean
  readonly mlpBias: boolean
}

const positive = z.number().int().positive()

const ropeFields = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: positive.optional(),
})

const configFields = z.looseObject({
  model_type: z.string(),
  vocab_size: positive,
  hidden_size: positive,
  intermediate_size: positive,
  num_hidden_layers: positive,
  num_attention_heads: positive,
  num_key_value_heads: positive.nullish(),
  head_dim: positive.nullish(),
  hidden_act: z.string().default('silu'),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().optional(),
  rope_scaling: ropeFields.nullish(),
  rope_parameters: ropeFields.nullish(),
  max_position_embeddings: positive.default(2048),
  sliding_window: positive.nullish(),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
})

type RopeFields = z.infer<typeof ropeFields>

function parseRopeScaling(fields: RopeFields | null | undefined, where: string): RopeScaling {
  const kind = fields?.rope_type ?? fields?.type ?? 'default'
  if (kind === 'default') return { kind: 'none' }
  const need = (
    name: 'factor' | 'low_freq_factor' | 'high_freq_factor' | 'original_max_position_embeddings',
  ): number => {
    const value = fields?.[name]
    if (value === undefined) throw new UserError(`${where}: rope type '${kind}' needs ${name}, found none`)
    return value
  }
  if (kind === 'linear') return { kind, factor: need('factor') }
  if (kind !== 'llama3') {
    throw new UserError(`${where}: rope type '${kind}' is not supported; supported are default, linear and llama3`)
  }
  return {
    kind,
    factor: need('factor'),
    lowFrequencyFactor: need('low_freq_factor'),
    highFrequencyFactor: need('high_freq_factor'),
    originalPositions: need('original_max_position_embeddings'),
  }
}

function parseFamily(modelType: string, where: string): ModelConfig['family'] {
  if (modelType === 'llama' || modelType === 'mistral') return modelType
  throw new UserError(`${where}: model_type '${modelType}' is not supported; supported are llama and mistral`)
}

/**
 * Reads the content of a config.json.
 * @param where names the file in messages.
 * @throws UserError for a model that is not supported, or a field that is missing or of the wrong kind.
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  // The type comes first: fields of another architecture need not have the names of ours.
  const type = z.looseObject({ model_type: z.string() }).safeParse(json)
  if (!type.success) throw new UserError(`${where}: expected a model configuration with model_type, found none`)
  const family = parseFamily(type.data.model_type, where)
  const parsed = configFields.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new UserError(`${where}: ${issue.path.join('.')}: ${issue.message}`)
  }
  const fields = parsed.data
  if (fields.hidden_act !== 'silu') {
    throw new UserError(`${where}: hidden_act '${fields.hidden_act}' is not supported for ${family}, expected silu`)
  }
  const heads = fields.num_attention_heads
  const keyValueHeads = fields.num_key_value_heads ?? heads
  const headSize = fields.head_dim ?? fields.hidden_size / heads
  if (heads % keyValueHeads !== 0 || headSize % 2 !== 0) {
    throw new UserError(
      `${where}: expected heads of even size in whole groups, found ${heads} heads of size ${headSize} ` +
        `on ${keyValueHeads} key-value heads`,
    )
  }
  const rope = fields.rope_parameters ?? fields.rope_scaling
  return {
    family,
    vocabularySize: fields.vocab_size,
    hiddenSize: fields.hidden_size,
    intermediateSize: fields.intermediate_size,
    layers: fields.num_hidden_layers,
    heads,
    keyValueHeads,
    headSize,
    normEpsilon: fields.rms_norm_eps,
    ropeTheta: fields.rope_parameters?.rope_theta ?? fields.rope_theta ?? 10000,
    ropeScaling: parseRopeScaling(rope, where),
    maxPositions: fields.max_position_embeddings,
    slidingWindow: family === 'mistral' ? (fields.sliding_window ?? null) : null,
    tiedHead: fields.tie_word_embeddings,
    attentionBias: family === 'llama' && fields.attention_bias,
    mlpBias: family === 'llama' && fields.mlp_bias,
  }
}
