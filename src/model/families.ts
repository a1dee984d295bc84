/** @file The table of model families. A new one is a file beside llama.ts and a line here. */
import { z } from 'zod'
import { UserError } from '../base/errors.ts'
import type { FamilyName, ModelConfig } from './config.ts'
import { gemma3 } from './gemma3.ts'
import type { Family } from './layer.ts'
import { llama } from './llama.ts'
import { mistral } from './mistral.ts'
import { phi } from './phi.ts'
import { phi3 } from './phi3.ts'
import { qwen2 } from './qwen2.ts'
import { qwen3 } from './qwen3.ts'
import { modelReach } from './rope.ts'
import { smollm3 } from './smollm3.ts'

/** By `model_type` in config.json. */
export const families: { readonly [F in FamilyName]: Family } = {
  llama,
  mistral,
  qwen2,
  qwen3,
  phi,
  phi3,
  smollm3,
  gemma3_text: gemma3,
}

function isFamily(name: string): name is FamilyName {
  return Object.hasOwn(families, name)
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
  const family = type.data.model_type
  if (!isFamily(family)) {
    const known = Object.keys(families).join(', ')
    throw new UserError(`${where}: model_type '${family}' is not supported; supported are ${known}`)
  }
  const config = families[family].parse(json, where)
  return {
    family,
    ...config,
    maxPositions: Math.min(config.maxPositions, modelReach(config)),
  }
}
