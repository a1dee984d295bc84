/** @file How config.json says that rotary frequencies are changed for longer contexts, as transformers reads it. */
import { z } from 'zod'
import { UserError } from '../base/errors.ts'
import type { RopeScaling } from './config.ts'

const positions = z.number().int().positive()

export const ropeFields = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  partial_rotary_factor: z.number().positive().max(1).optional(),
  factor: z.number().positive().nullish(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: positions.optional(),
  attention_factor: z.number().positive().nullish(),
  beta_fast: z.number().nonnegative().nullish(),
  beta_slow: z.number().nonnegative().nullish(),
  mscale: z.number().nonnegative().nullish(),
  mscale_all_dim: z.number().nonnegative().nullish(),
  truncate: z.boolean().nullish(),
  short_factor: z.array(z.number().positive()).optional(),
})

export type RopeFields = z.infer<typeof ropeFields>

/** How far a model reaches, and how far it did when it was pretrained, where that stands beside its rope's fields. */
export interface RopeReach {
  readonly positions: number
  readonly original: number | undefined
}

export interface ScalingSource {
  readonly fields: RopeFields | null | undefined
  readonly reach: RopeReach
  /** Dimensions of a head that are turned. */
  readonly size: number
}

/** What the parser of a kind is given. */
interface Asked {
  readonly fields: RopeFields
  readonly reach: RopeReach
  readonly size: number
  readonly where: string
  /** @throws UserError where there is no such field. */
  need(name: 'factor' | 'low_freq_factor' | 'high_freq_factor'): number
  /** Positions of pretraining. */
  readonly original: number
}

/** By the names of transformers; `su` was the first one of longrope. */
const parsers: Readonly<Record<string, (asked: Asked) => RopeScaling>> = {
  default: () => ({ kind: 'none' }),
  linear: ({ need }) => ({ kind: 'linear', factor: need('factor') }),
  llama3: ({ need, original }) => ({
    kind: 'llama3',
    factor: need('factor'),
    lowFrequencyFactor: need('low_freq_factor'),
    highFrequencyFactor: need('high_freq_factor'),
    originalPositions: original,
  }),
  yarn,
  longrope,
  su: longrope,
}

/** YaRN (Peng et al. 2023). */
function yarn({ fields, reach, original: originalPositions }: Asked): RopeScaling {
  const factor = fields.factor ?? reach.positions / originalPositions
  const { mscale, mscale_all_dim: all } = fields
  const spread = (scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1)
  return {
    kind: 'yarn',
    factor,
    originalPositions,
    betaFast: fields.beta_fast || 32,
    betaSlow: fields.beta_slow || 1,
    truncate: fields.truncate ?? true,
    attentionFactor: fields.attention_factor ?? (mscale && all ? spread(mscale) / spread(all) : spread(1)),
  }
}

/** LongRoPE (Ding et al. 2024), with its factors for the length of pretraining. */
function longrope({ fields, reach, size, where, original: originalPositions }: Asked): RopeScaling {
  const { short_factor: factors = [], attention_factor: given } = fields
  if (factors.length !== size / 2) {
    throw new UserError(`${where}: expected ${size / 2} numbers as short_factor of longrope, found ${factors.length}`)
  }
  const factor = fields.factor ?? reach.positions / originalPositions
  const spread = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(originalPositions))
  return { kind: 'longrope', factors, originalPositions, attentionFactor: given ?? spread }
}

/** @throws UserError for a kind that is not supported, or lacks a field. */
export function parseRopeScaling({ fields, reach, size }: ScalingSource, where: string): RopeScaling {
  const kind = fields?.rope_type ?? fields?.type ?? 'default'
  const parse = Object.hasOwn(parsers, kind) ? parsers[kind] : undefined
  if (parse === undefined) {
    const known = Object.keys(parsers).filter((name) => name !== 'su')
    throw new UserError(`${where}: rope type '${kind}' is not supported; supported are ${known.join(', ')}`)
  }
  return parse({
    fields: fields ?? {},
    reach,
    size,
    where,
    need: (name) => {
      const value = fields?.[name]
      if (typeof value === 'number') return value
      throw new UserError(`${where}: rope type '${kind}' needs ${name}, found none`)
    },
    // In this order, as transformers takes it.
    original: reach.original ?? fields?.original_max_position_embeddings ?? reach.positions,
  })
}
