/** @file README.md of an adapter or model folder, with the front matter that the Hub reads. */
import type { RaisedAlarm } from '../eval/alarms.ts'

export interface CardFacts {
  readonly baseModel: string
  readonly dataset: string
  readonly isAdapter: boolean
  /** The adapter that training went on from; undefined where it began anew. */
  readonly begunFrom?: string
  readonly updates: number
  readonly settings: Readonly<Record<string, unknown>>
  /** Held-out metrics, by their names; empty without any. */
  readonly evaluation: Readonly<Record<string, number>>
  /** Signs that training went wrong. */
  readonly alarms: readonly RaisedAlarm[]
  /** Rewards by step, as lines of text; empty without any. */
  readonly picture: readonly string[]
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
  'seed',
]
const SHOWN_OF_LORA = ['lora_r', 'lora_alpha', 'use_rslora', 'lora_dropout', 'lora_target_modules']

/** Items of a list that are shown. */
const MOST_ITEMS = 20

/** What a model was taught, by objective. */
const METHODS: Readonly<
  Record<string, { readonly method: string; readonly learned: string; readonly tags: readonly string[] }>
> = {
  step_dpo: {
    method: 'Step-DPO',
    learned:
      'Only the tokens of\nsingle steps were trained on; no end-of-turn token was added to a step in the middle of a solution.',
    tags: ['step-dpo', 'dpo'],
  },
  sft: {
    method: 'supervised fine-tuning',
    learned: 'Only the tokens of completions were\ntrained on.',
    tags: ['sft'],
  },
  prm: {
    method: 'process supervision',
    learned:
      'It is a process reward\nmodel: after each step it weighs two tokens, for right and for wrong, which `stepdpo_prm.json` names.',
    tags: ['prm', 'process-reward-model'],
  },
}

function table(rows: readonly (readonly [string, unknown])[]): string {
  return rows.map(([name, value]) => `| ${name} | ${showValue(value)} |`).join('\n')
}

function showValue(value: unknown): string {
  if (!Array.isArray(value) || value.length <= MOST_ITEMS) return String(value)
  return `${value.slice(0, MOST_ITEMS)} and ${value.length - MOST_ITEMS} more`
}

/** What went wrong in training, and how the rewards of steps grew. */
function trainingSection({ alarms, picture }: CardFacts): string {
  const lines = alarms.map(
    ({ name, since, until, text, remedy }) =>
      `- **${name}** (updates ${since} to ${until}): ${text}. May help: ${remedy}.`,
  )
  const drawn = picture.length === 0 ? '' : `\n\`\`\`\n${picture.join('\n')}\n\`\`\`\n`
  return `${lines.length === 0 ? 'No alarm was raised in training.' : `Alarms in training:\n\n${lines.join('\n')}`}\n${drawn}`
}

export function modelCard(facts: CardFacts): string {
  const { baseModel, dataset, isAdapter, begunFrom, updates, settings, evaluation, version } = facts
  const names = isAdapter ? [...SHOWN, ...SHOWN_OF_LORA] : SHOWN
  const shown = names.flatMap((name) => (settings[name] === undefined ? [] : [[name, settings[name]] as const]))
  const { method, learned, tags } = METHODS[String(settings['objective'])] ?? METHODS['step_dpo']
  const measured = Object.entries(evaluation).map(([name, value]) => [name, Number(value.toPrecision(4))] as const)
  const load = isAdapter
    ? `model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(${JSON.stringify(baseModel)}), folder)`
    : 'model = AutoModelForCausalLM.from_pretrained(folder)'
  return `---
base_model: ${JSON.stringify(baseModel)}
library_name: ${isAdapter ? 'peft' : 'transformers'}
pipeline_tag: text-generation
tags:
${tags.map((tag) => `- ${tag}`).join('\n')}
${isAdapter ? '- lora\n' : ''}- stepdpo
---

# ${isAdapter ? 'A LoRA adapter' : 'A model'} trained with ${method}

${baseModel}${begunFrom === undefined ? '' : ` with the adapter ${begunFrom}`} after ${updates}${begunFrom === undefined ? '' : ' more'} updates of ${method} on ${dataset}, made with stepwise-dpo ${version}. ${learned}

| setting | value |
|---|---|
${table(shown)}
${measured.length === 0 ? '' : `\n| on held-out problems | |\n|---|---|\n${table(measured)}\n`}
${trainingSection(facts)}
\`\`\`python
${load}
\`\`\`
`
}
