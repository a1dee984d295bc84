/** @file README.md of an adapter or model folder, with the front matter that the Hub reads. */

export interface CardFacts {
  readonly baseModel: string
  readonly dataset: string
  readonly isAdapter: boolean
  readonly updates: number
  readonly settings: Readonly<Record<string, unknown>>
  /** Held-out metrics, by their names; empty without any. */
  readonly evaluation: Readonly<Record<string, number>>
  readonly version: string
}

/** Settings that say what was trained, in the order of the card. */
const SHOWN = [
  'objective',
  'beta',
  'loss_type',
  'loss_weights',
  'label_smoothing',
  'learning_rate',
  'lr_scheduler_type',
  'warmup_ratio',
  'per_device_train_batch_size',
  'gradient_accumulation_steps',
  'group_pairs',
  'neutral',
  'max_length',
  'lora_r',
  'lora_alpha',
  'lora_target_modules',
  'seed',
]

function table(rows: readonly (readonly [string, unknown])[]): string {
  return rows.map(([name, value]) => `| ${name} | ${String(value)} |`).join('\n')
}

export function modelCard({
  baseModel,
  dataset,
  isAdapter,
  updates,
  settings,
  evaluation,
  version,
}: CardFacts): string {
  const shown = SHOWN.flatMap((name) => (settings[name] === undefined ? [] : [[name, settings[name]] as const]))
  const isDemonstrated = settings['objective'] === 'sft'
  const method = isDemonstrated ? 'supervised fine-tuning' : 'Step-DPO'
  const learned = isDemonstrated
    ? 'Only the tokens of completions were\ntrained on.'
    : 'Only the tokens of\nsingle steps were trained on; no end-of-turn token was added to a step in the middle of a solution.'
  const measured = Object.entries(evaluation).map(([name, value]) => [name, Number(value.toPrecision(4))] as const)
  const load = isAdapter
    ? `model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(${JSON.stringify(baseModel)}), folder)`
    : 'model = AutoModelForCausalLM.from_pretrained(folder)'
  return `---
base_model: ${JSON.stringify(baseModel)}
library_name: ${isAdapter ? 'peft' : 'transformers'}
pipeline_tag: text-generation
tags:
${isDemonstrated ? '- sft' : '- step-dpo\n- dpo'}
${isAdapter ? '- lora\n' : ''}- stepdpo
---

# ${isAdapter ? 'A LoRA adapter' : 'A model'} trained with ${method}

${baseModel} after ${updates} updates of ${method} on ${dataset}, made with stepwise-dpo ${version}. ${learned}

| setting | value |
|---|---|
${table(shown)}
${measured.length === 0 ? '' : `\n| on held-out problems | |\n|---|---|\n${table(measured)}\n`}
\`\`\`python
${load}
\`\`\`
`
}
