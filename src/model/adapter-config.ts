/** @file adapter_config.json as PEFT writes it: the settings that are understood, and why others are refused. */
import { z } from 'zod'
import { UserError } from '../base/errors.ts'
import { readJsonFile } from './load.ts'
import type { LoraSettings } from './lora.ts'

const patternFields = z.record(z.string(), z.number().positive()).nullish()

const configFields = z.looseObject({
  peft_type: z.string(),
  base_model_name_or_path: z.string().nullish(),
  r: z.number().int().positive(),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).max(1).default(0),
  use_rslora: z.boolean().nullish(),
  target_modules: z.union([z.string(), z.array(z.string())]).nullish(),
  exclude_modules: z.union([z.string(), z.array(z.string())]).nullish(),
  layers_to_transform: z.union([z.int(), z.array(z.int())]).nullish(),
  rank_pattern: patternFields,
  alpha_pattern: patternFields,
})

/** Values that modules have instead of the one for all, by their names. */
export type ModuleValues = ReadonlyMap<string, number>

export interface AdapterConfig {
  readonly path: string
  /** The base model's name as it was when the adapter was saved; '' where there is none. */
  readonly baseModel: string
  readonly settings: LoraSettings
  /** Whether the adapter may sit on fewer modules than its targets name: then the tensors of the file say on which. */
  readonly isPartial: boolean
  /** The layers on which it may sit; undefined for all. */
  readonly layers: ReadonlySet<number> | undefined
  /** Names of modules on which it may not sit. A pattern is not looked at: the tensors of the file say enough. */
  readonly excluded: readonly string[]
  readonly ranks: ModuleValues
  readonly alphas: ModuleValues
}

/** What always helps: PEFT understands all of its own settings. */
const MERGE =
  'merge it with PEFT (PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(merged)) ' +
  'and use that folder as the base model'

/** Settings of PEFT that change what an adapter computes: what they do. Only their empty values are understood. */
const refused: Readonly<Record<string, string>> = {
  use_dora: 'DoRA scales each row of a weight to a learnt length',
  modules_to_save: 'whole modules were trained beside the factors',
  fan_in_fan_out: 'weights are stored transposed, as in GPT-2',
  bias: 'biases of the base model were trained too',
  lora_bias: 'factors have a bias',
  layer_replication: 'layers of the base model are repeated',
  target_parameters: 'factors sit on parameters that are no linears',
  trainable_token_indices: 'rows of the embedding were trained too',
  alora_invocation_tokens: 'the adapter begins to work at certain tokens (aLoRA)',
  use_qalora: 'inputs are pooled in groups (QA-LoRA)',
  use_bdlora: 'factors are block-diagonal (BD-LoRA)',
  arrow_config: 'several adapters are routed by token (Arrow)',
  kasa_config: 'the base weights are cut, and factors have singular values (KaSA)',
  monteclora_config: 'factors are sampled (MonteCLoRA)',
}

/** Tensors of PEFT that are no factors of linears of layers, by their names: what they are. */
const strangers: readonly (readonly [RegExp, string])[] = [
  [/\.lora_embedding_[AB]$|\bembed_tokens\.base_layer\./, 'LoRA on the embedding'],
  [/\blm_head\.(lora_[AB]|base_layer)\./, 'LoRA on the head'],
  [/\b(embed_tokens|lm_head)\.weight$/, 'an embedding or a head beside the factors'],
]

/** Why a tensor of an adapter is refused, and what to do; undefined for one that nothing is known of. */
export function strangerReason(name: string): string | undefined {
  const known = strangers.find(([pattern]) => pattern.test(name))
  return known && `${known[1]} is not supported: ${MERGE}`
}

/** Beginnings that leave the weights of the base model as they are. With the others the base is another one. */
const PLAIN_BEGINNINGS: readonly unknown[] = [undefined, null, true, false, 'gaussian', 'eva', 'orthogonal']

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 'none') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** @throws UserError naming the setting, what it does, and what to do. */
function refuseUnsupported(fields: Readonly<Record<string, unknown>>, path: string): void {
  const { peft_type: type, init_lora_weights: beginning } = fields
  if (type !== 'LORA') throw new UserError(`${path}: expected peft_type LORA, found ${String(type)}: ${MERGE}`)
  for (const [name, meaning] of Object.entries(refused)) {
    if (isEmpty(fields[name])) continue
    const value = JSON.stringify(fields[name]).slice(0, 100)
    throw new UserError(`${path}: ${name} ${value} is not supported (${meaning}): ${MERGE}`)
  }
  if (PLAIN_BEGINNINGS.includes(beginning)) return
  throw new UserError(
    `${path}: init_lora_weights ${JSON.stringify(beginning).slice(0, 100)} is not supported (it changes the weights of the ` +
      `base model): convert it when saving (save_pretrained with path_initial_model_for_weight_conversion), or ${MERGE}`,
  )
}

/** @throws UserError for a pattern that is more than the name of modules. */
function moduleValues(pattern: z.output<typeof patternFields>, setting: string, path: string): ModuleValues {
  const values = new Map(Object.entries(pattern ?? {}))
  const strange = [...values.keys()].find((name) => !/^\^?\w+(\\?\.\w+)*$/.test(name))
  if (strange === undefined) return new Map([...values].map(([name, value]) => [name.replaceAll('\\', ''), value]))
  throw new UserError(
    `${path}: ${setting}: expected names of modules, found the regular expression ${JSON.stringify(strange).slice(0, 100)}: ${MERGE}`,
  )
}

/** The value for a module, by the first name that is its own or its last parts; after `^` only its own. As in PEFT. */
export function valueFor(values: ModuleValues, module: string): number | undefined {
  for (const [name, value] of values) {
    if (name === `^${module}` || name === module || module.endsWith(`.${name}`)) return value
  }
  return undefined
}

/** @throws UserError or InputError where the file is not what PEFT writes, or asks for what is not supported. */
export function readAdapterConfig(path: string): AdapterConfig {
  const json = readJsonFile(path)
  // First, as other kinds of adapters need not have the fields of ours.
  if (typeof json === 'object' && json !== null && 'peft_type' in json) refuseUnsupported({ ...json }, path)
  const parsed = configFields.safeParse(json)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw new UserError(`${path}: ${issue.path.join('.')}: ${issue.message}`)
  }
  const fields = parsed.data
  const targets = fields.target_modules ?? []
  const isPattern = typeof targets === 'string' && targets !== 'all-linear'
  const chosen = [fields.layers_to_transform ?? []].flat()
  const layers = chosen.length === 0 ? undefined : new Set(chosen) // as in PEFT, an empty list names none
  return {
    path,
    baseModel: fields.base_model_name_or_path ?? '',
    settings: {
      rank: fields.r,
      alpha: fields.lora_alpha,
      dropout: fields.lora_dropout,
      rslora: fields.use_rslora ?? false,
      // PEFT reads any other single string as a regular expression.
      targets: typeof targets === 'string' ? 'all-linear' : targets,
    },
    isPartial: isPattern || layers !== undefined || !isEmpty(fields.exclude_modules),
    excluded: Array.isArray(fields.exclude_modules) ? fields.exclude_modules : [],
    layers,
    ranks: moduleValues(fields.rank_pattern, 'rank_pattern', path),
    alphas: moduleValues(fields.alpha_pattern, 'alpha_pattern', path),
  }
}
