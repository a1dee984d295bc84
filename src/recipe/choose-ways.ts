/** @file What is decided when a run begins: how many threads, and what a forward pass keeps. */
import { availableParallelism } from 'node:os'
import type { ModelConfig } from '../model/config.ts'
import type { TrainSettings } from './config.ts'
import { largestRow, needOf, peakOf } from './fit.ts'
import type { Choices } from './train-parts.ts'
import { usableMemory } from './usable-memory.ts'

/** Part of the free memory that a run may take before layers are computed twice instead of kept. */
const MEMORY_SHARE = 0.7

export function chooseWays(settings: TrainSettings, config: ModelConfig): Choices {
  return {
    threads: settings.threads ?? availableParallelism(),
    gradient_checkpointing: settings.gradient_checkpointing ?? isTight(settings, config),
  }
}

/** How much memory a device has is not known: there it always is. */
function isTight(settings: TrainSettings, config: ModelConfig): boolean {
  if ((settings.device ?? 'cpu') !== 'cpu') return true
  const keeping = { ...settings, gradient_checkpointing: false }
  return peakOf(needOf(keeping, config, largestRow(keeping))) > MEMORY_SHARE * usableMemory().free
}
