/** @file A Modelfile for Ollama of a model, or of a model with an adapter that Ollama applies: the `modelfile` command. */
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import { adapterProblem, modelfileText, recogniseChat, stopTexts } from '../interop/modelfile.ts'
import { readAdapterConfig } from '../model/adapter-config.ts'
import { ADAPTER_CONFIG, loadAdapter } from '../model/adapter-file.ts'
import { ggufPath, loadConfig } from '../model/load.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import type { ModelfileSettings } from './adapter-settings.ts'

/** @throws UserError or InputError where model or adapter cannot be used, or Ollama would compute something else. */
export function modelfile({ base_model, adapter, from }: ModelfileSettings): string {
  const { config } = loadConfig(base_model)
  if (adapter !== undefined) {
    loadAdapter(adapter, config)
    const { settings, alphas } = readAdapterConfig(join(adapter, ADAPTER_CONFIG))
    const problem =
      alphas.size > 0 ? 'Ollama has one alpha for all modules (alpha_pattern)' : adapterProblem(config.family, settings)
    if (problem !== undefined) {
      throw new UserError(`${adapter}: ${problem}. Merge it instead: stepdpo merge --modelfile`)
    }
  }
  const tokenizer = loadTokenizer(base_model)
  return modelfileText({
    from: from ?? weightsPath(base_model),
    ...(adapter !== undefined && { adapter: resolve(adapter) }),
    chat: recogniseChat(tokenizer),
    stops: stopTexts(tokenizer),
  })
}

/** The folder with safetensors, or the one .gguf file. */
function weightsPath(path: string): string {
  const hasSafetensors =
    existsSync(join(path, 'config.json')) && readdirSync(path).some((name) => /\.safetensors$/.test(name))
  return resolve(hasSafetensors ? path : (ggufPath(path) ?? path))
}
