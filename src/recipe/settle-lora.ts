/** @file LoRA's settings of a run: those that were given, else those of the adapter it goes on from, else the usual ones. */
import { UserError } from '../base/errors.ts'
import { loadAdapter } from '../model/adapter-file.ts'
import type { ModelConfig } from '../model/config.ts'
import { loadConfig } from '../model/load.ts'
import { type Adapter, FACTOR_A, targetModules } from '../model/lora.ts'
import { type TrainSettings, trainSchema } from './config.ts'
import { type GivenLora, loraSettings } from './lora-settings.ts'

/** The adapter that a run goes on from, on its model. */
export interface Start {
  readonly path: string
  readonly adapter: Adapter
  readonly config: ModelConfig
}

/** @throws UserError or InputError where the adapter does not fit the model. */
export function startOf({
  base_model,
  adapter: path,
}: {
  readonly base_model: string
  readonly adapter?: string | undefined
}): Start | undefined {
  if (path === undefined) return undefined
  const { config } = loadConfig(base_model)
  return { path, adapter: loadAdapter(path, config), config }
}

/**
 * The settings with all of LoRA's. Dropout belongs to a training, not to what an adapter computes: where it is given, it
 * counts.
 * @throws UserError or InputError where the adapter does not fit the model, or any other setting of LoRA contradicts it.
 */
export function settleLora(given: TrainSettings, start: Start | undefined = startOf(given)): TrainSettings {
  if (start !== undefined) refuseOthers(given, start)
  const { rank, alpha, rslora, targets, dropout: stored } = start?.adapter.settings ?? loraSettings(given)
  const dropout = given.lora_dropout ?? stored
  if (dropout >= 1) throw new UserError(`${start?.path}: lora_dropout 1 drops every input: say --lora_dropout 0`)
  return trainSchema.parse({
    ...given,
    lora_r: rank,
    lora_alpha: alpha,
    lora_dropout: dropout,
    lora_target_modules: targets === 'all-linear' ? targets : [...targets],
    use_rslora: rslora,
  }) // in the order of the schema
}

function refuseOthers(given: GivenLora, { path, adapter, config }: Start): void {
  const { rank, alpha, rslora, targets } = adapter.settings
  const { lora_r, lora_alpha, use_rslora, lora_target_modules: wanted } = given
  const isSame = wanted === undefined || sameModules(targetModules(config, wanted), modulesOf(adapter))
  const rows = [
    ['lora_r', lora_r, rank, (lora_r ?? rank) === rank],
    ['lora_alpha', lora_alpha, alpha, (lora_alpha ?? alpha) === alpha],
    ['use_rslora', use_rslora, rslora, (use_rslora ?? rslora) === rslora],
    ['lora_target_modules', wanted, targets, isSame],
  ] as const
  const wrong = rows.find(([, , , agrees]) => !agrees)
  if (wrong === undefined) return
  const [name, said, own] = wrong
  throw new UserError(
    `--${name} ${said}: the adapter ${path} has ${own}, and keeps it when it is trained further: leave --${name} out, ` +
      'or begin a new adapter without --adapter',
  )
}

/** Of each layer. */
function modulesOf({ layers }: Adapter): string[][] {
  return layers.map((tensors) =>
    Object.keys(tensors)
      .filter((name) => name.endsWith(FACTOR_A))
      .map((name) => name.slice(0, -FACTOR_A.length)),
  )
}

function sameModules(some: readonly string[][], others: readonly string[][]): boolean {
  const sorted = (layers: readonly string[][]): string => JSON.stringify(layers.map((modules) => modules.toSorted()))
  return sorted(some) === sorted(others)
}
