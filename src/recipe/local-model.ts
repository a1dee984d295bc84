/** @file A model folder of ours as a judge: a model, an adapter on its base, a process reward model, a trained policy. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { InputError, UserError } from '../base/errors.ts'
import { sha256 } from '../base/hash.ts'
import { hubTitle } from '../interop/hub-name.ts'
import { type LocalQuestion, localJudge, localPromptVersion } from '../judge/local.ts'
import type { StepJudge } from '../judge/port.ts'
import { openVerdicts, PRM_FILE, verdictSchema, verdictTree } from '../judge/verdicts.ts'
import { ADAPTER_CONFIG } from '../model/adapter-file.ts'
import { readJsonFile } from '../model/load.ts'
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts'
import type { Place } from './device.ts'
import { modelFingerprint } from './fingerprint.ts'
import { cachedModel } from './hub-names.ts'
import { openModel } from './score.ts'

/** What a path stands for: a model, or an adapter with its base model. */
export interface LocalPath {
  readonly base_model: string
  readonly adapter?: string
}

/**
 * The model at a path. A PEFT folder names its base model; a name that is not absolute is looked for from where we are, then
 * from the folder, then in the Hugging Face cache.
 * @throws UserError where that is not there.
 */
export function locateModel(path: string): LocalPath {
  const file = join(path, ADAPTER_CONFIG)
  if (!existsSync(file)) return { base_model: path }
  const json = readJsonFile(file)
  const name =
    typeof json === 'object' && json !== null && 'base_model_name_or_path' in json ? json.base_model_name_or_path : null
  if (typeof name !== 'string' || name === '') {
    throw new InputError(
      { file },
      'base_model_name_or_path, the model that the adapter belongs to',
      JSON.stringify(name),
    )
  }
  const places = [resolve(name), resolve(path, name), cachedModel(name, process.env)]
  const base = places.find((place) => place !== undefined && existsSync(place))
  if (base !== undefined) return { base_model: base, adapter: path }
  throw new UserError(
    `${path} is an adapter for ${name}, which is not there: write the path of its base model into base_model_name_or_path of ${file}`,
  )
}

/** The hash of all that a local model computes with. */
export function fingerprintOf({ base_model, adapter }: LocalPath): string {
  const parts = [base_model, ...(adapter === undefined ? [] : [adapter])]
  return sha256(parts.map(modelFingerprint).join(' '))
}

export interface OpenJudge {
  readonly judge: StepJudge
  close(): Promise<void>
}

/**
 * The judge at a path. A folder with `stepdpo_prm.json` judges as it was taught; any other model is asked for Yes or No.
 * @throws UserError or InputError naming what is missing or wrong.
 */
export async function openLocalJudge(path: string, { threads, device }: Place): Promise<OpenJudge> {
  const place = locateModel(path)
  const tokenizer = loadTokenizer(place.base_model)
  const taught = readVerdicts(path, tokenizer)
  const { machine, layers } = await openModel({ ...place, threads, device })
  const name =
    taught === undefined
      ? localPromptVersion
      : `prm@${sha256(`${fingerprintOf(place)} ${taught.version}`).slice(0, 12)}`
  const judge = localJudge(`local:${hubTitle(path) ?? path} ${name}`, { machine, layers, tokenizer }, taught?.question)
  return { judge, close: () => machine.dispose() }
}

/** How a process reward model wants to be asked, and what its verdicts depend on beside weights; undefined for other models. */
function readVerdicts(path: string, tokenizer: Tokenizer): { question: LocalQuestion; version: string } | undefined {
  const file = join(path, PRM_FILE)
  if (!existsSync(file)) return undefined
  const parsed = verdictSchema.safeParse(readJsonFile(file))
  if (!parsed.success) {
    const [{ path: field, message }] = parsed.error.issues
    throw new InputError({ file }, 'what objective prm has written', `${field.join('.')}: ${message}`)
  }
  const frame = openVerdicts(parsed.data, tokenizer, file)
  return {
    question: { meaning: parsed.data.meaning, tree: (solution, asked) => verdictTree(solution, asked, frame) },
    version: JSON.stringify(parsed.data),
  }
}
