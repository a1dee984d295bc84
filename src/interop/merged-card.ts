/** @file README.md of a model into which an adapter was merged, with the front matter that the Hub reads. */
import type { LoraSettings } from '../model/lora.ts'

export interface MergedFacts {
  readonly baseModel: string
  readonly adapterName: string
  readonly settings: LoraSettings
  readonly scale: number
  readonly dtype: string
  /** Of what the adapter changes, the part that rounding to `dtype` changes too. */
  readonly rounding: number
  readonly version: string
}

export function mergedCard(facts: MergedFacts): string {
  const { baseModel, adapterName, settings, scale, dtype, rounding, version } = facts
  const targets = typeof settings.targets === 'string' ? settings.targets : settings.targets.join(', ')
  const rows = [
    ['base model', baseModel],
    ['adapter', adapterName],
    ['rank', settings.rank],
    ['scale of B A', Number(scale.toPrecision(6))],
    ['target modules', targets],
    ['dtype', dtype],
    ...(rounding > 0 ? [['rounding, relative to what the adapter changes', rounding.toPrecision(2)]] : []),
  ]
  return `---
base_model: ${JSON.stringify(baseModel)}
base_model_relation: finetune
library_name: transformers
pipeline_tag: text-generation
tags:
- lora
- stepdpo
---

# ${baseModel} with ${adapterName}

The LoRA adapter ${adapterName} merged into ${baseModel}, made with stepwise-dpo ${version}. No adapter is needed to use it.

| | |
|---|---|
${rows.map(([name, value]) => `| ${name} | ${value} |`).join('\n')}

\`\`\`python
model = AutoModelForCausalLM.from_pretrained(folder)
\`\`\`
`
}
