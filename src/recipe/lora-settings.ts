/** @file LoRA's settings as they are given, and the usual ones. */
import { z } from 'zod'
import type { LoraSettings } from '../model/lora.ts'

/** Without defaults in the schema: what was given must be told from what was not, as an adapter may say otherwise. */
const USUAL = {
  lora_r: 16,
  lora_alpha: 32,
  lora_dropout: 0,
  lora_target_modules: 'all-linear',
  use_rslora: false,
} as const

const otherwise = (usual: unknown): string => `default ${usual}, or the adapter's own`

export const loraFields = {
  use_lora: z
    .boolean()
    .default(true)
    .meta({ group: 'LoRA', alias: ['use_peft'], description: 'train an adapter' }),
  lora_r: z
    .number()
    .int()
    .positive()
    .optional()
    .meta({ group: 'LoRA', description: `rank; ${otherwise(USUAL.lora_r)}` }),
  lora_alpha: z
    .number()
    .positive()
    .optional()
    .meta({ group: 'LoRA', description: `scale is alpha / r; ${otherwise(USUAL.lora_alpha)}` }),
  lora_dropout: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .meta({ group: 'LoRA', description: `dropout before A; ${otherwise(USUAL.lora_dropout)}` }),
  lora_target_modules: z
    .union([z.literal('all-linear'), z.array(z.string().min(1)).min(1)])
    .optional()
    .meta({
      group: 'LoRA',
      description: `linears with an adapter, by name; ${otherwise(USUAL.lora_target_modules)}`,
    }),
  use_rslora: z
    .boolean()
    .optional()
    .meta({ group: 'LoRA', description: `scale is alpha / √r; ${otherwise(USUAL.use_rslora)}` }),
  load_in_4bit: z
    .boolean()
    .default(false)
    .meta({ group: 'LoRA', description: 'the linears of the model are rounded to 4 bits while they are loaded' }),
  load_in_8bit: z.boolean().default(false).meta({ group: 'LoRA', description: 'the same with 8 bits' }),
}

/** Those that an adapter brings along, as they were given. */
export type GivenLora = Partial<Pick<z.output<z.ZodObject<typeof loraFields>>, keyof typeof USUAL>>

/** Of settled settings, and of those without an adapter to begin from. */
export function loraSettings(settings: GivenLora): LoraSettings {
  return {
    rank: settings.lora_r ?? USUAL.lora_r,
    alpha: settings.lora_alpha ?? USUAL.lora_alpha,
    dropout: settings.lora_dropout ?? USUAL.lora_dropout,
    rslora: settings.use_rslora ?? USUAL.use_rslora,
    targets: settings.lora_target_modules ?? USUAL.lora_target_modules,
  }
}

/** Those of LoRA's settings that an adapter brings along, of many. */
export function loraGiven({ lora_r, lora_alpha, lora_dropout, lora_target_modules, use_rslora }: GivenLora): GivenLora {
  return { lora_r, lora_alpha, lora_dropout, lora_target_modules, use_rslora }
}
