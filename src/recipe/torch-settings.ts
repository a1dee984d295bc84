/** @file The settings of the engine that trains: ours, or PyTorch with TRL, and how its processes are started. */
import { z } from 'zod'
import { launchers } from '../interop/torch-launch.ts'
import type { LossType } from '../train/loss-table.ts'
import type { LossSettings } from './loss-settings.ts'
import { lessonOf, type ObjectiveName } from './objectives.ts'

const group = 'PyTorch'
const count = z.number().int().positive()

export const torchFields = {
  engine: z.enum(['node', 'torch']).default('node').meta({
    group,
    description: 'who trains: this process, or TRL in PyTorch (docs/torch.md)',
  }),
  torch_launcher: z
    .enum(launchers)
    .default('python')
    .meta({ group, description: 'starts the processes of PyTorch; python: one' }),
  torch_python: z.string().min(1).optional().meta({
    group,
    description: 'interpreter with torch, trl and peft; default STEPDPO_PYTHON, or python3',
  }),
  torch_precision: z
    .enum(['float32', 'bfloat16'])
    .default('float32')
    .meta({ group, description: 'of the products; the adapter is float32' }),
  nproc_per_node: count.default(1).meta({ group, description: 'processes on a machine; with ray: of the cluster' }),
  nnodes: count.default(1).meta({ group, description: 'machines, with torchrun' }),
  rdzv_endpoint: z.string().min(1).optional().meta({ group, description: 'host:port of this machine, for the others' }),
  accelerate_config: z.string().min(1).optional().meta({
    group,
    description: "accelerate's file, e.g. for FSDP, with launcher accelerate",
  }),
}

export type TorchSettings = z.output<z.ZodObject<typeof torchFields>>

/** TRL's `loss_type` for each of ours that the torch engine computes. All others are refused. */
export const TRL_LOSSES: { readonly [L in LossType]?: string } = {
  sigmoid: 'sigmoid',
  hinge: 'hinge',
  ipo: 'ipo',
  robust: 'robust',
  exo_pair: 'exo_pair',
  nca_pair: 'nca_pair',
  bco_pair: 'bco_pair',
  sppo_hard: 'sppo_hard',
  apo_zero: 'apo_zero',
  apo_down: 'apo_down',
  discopop: 'discopop',
  sigmoid_norm: 'sigmoid_norm',
}

/** Those of settings that the torch engine looks at before it accepts a run. A loop has no names for some of them. */
interface Wish extends TorchSettings, LossSettings {
  readonly objective: ObjectiveName
  readonly use_lora: boolean
  readonly load_in_4bit?: boolean
  readonly load_in_8bit?: boolean
  readonly load_best_model_at_end?: boolean
  readonly eval_generate?: number
  readonly precompute_ref_log_probs?: boolean
  readonly early_stopping_patience?: number | undefined
  readonly device?: string | undefined
}

type Flaw = readonly [keyof Wish, string]

/** Refuses what the torch engine would ignore, and what is said to it in vain, for `superRefine`. */
export function refuseTorch(settings: Wish, context: z.RefinementCtx): void {
  const flaws =
    settings.engine === 'torch' ? [...flawsOfTorch(settings), ...flawsOfLauncher(settings)] : flawsOfNode(settings)
  for (const [name, message] of flaws) context.addIssue({ code: 'custom', path: [name], message })
}

const WITHOUT = 'is not known to engine torch: leave it out, or say --engine node'

/** What engine torch has no equal of, and what each setting is without it. */
const LACKING = {
  load_in_4bit: false,
  load_in_8bit: false,
  load_best_model_at_end: false,
  eval_generate: 0,
  precompute_ref_log_probs: false,
  early_stopping_patience: undefined,
  device: undefined,
  soft_labels: false,
  f_divergence_type: 'reverse_kl',
  ld_alpha: null,
  use_weighting: false,
  reference_free: false,
  sync_ref_model: false,
} as const satisfies Partial<Record<keyof Wish, unknown>>

function isLacking(name: string): name is keyof typeof LACKING {
  return Object.hasOwn(LACKING, name)
}

function* flawsOfTorch(settings: Wish): Generator<Flaw> {
  for (const name of Object.keys(LACKING).filter(isLacking)) {
    const found = settings[name]
    if (found !== undefined && found !== LACKING[name]) yield [name, WITHOUT]
  }
  if (!settings.use_lora) yield ['use_lora', 'must be true with engine torch: what comes back is an adapter']
  if (lessonOf(settings) !== 'preferences') {
    yield ['objective', `${settings.objective} has no pairs, which engine torch learns from: say --engine node`]
    return
  }
  const known = Object.keys(TRL_LOSSES).join(', ')
  for (const type of settings.loss_type) {
    if (TRL_LOSSES[type] === undefined) yield ['loss_type', `${type} is not known to engine torch, which has ${known}`]
  }
}

function* flawsOfLauncher(settings: Wish): Generator<Flaw> {
  const { torch_launcher: launcher, nproc_per_node: processes, nnodes, rdzv_endpoint: endpoint } = settings
  if (launcher === 'python' && processes > 1)
    yield ['nproc_per_node', 'needs --torch_launcher torchrun, accelerate or ray']
  if (launcher !== 'torchrun' && nnodes > 1) yield ['nnodes', 'needs --torch_launcher torchrun']
  if (nnodes > 1 && endpoint === undefined) yield ['rdzv_endpoint', 'is needed with nnodes: host:port of this machine']
  if (nnodes === 1 && endpoint !== undefined) yield ['rdzv_endpoint', 'has no meaning on one machine']
  if (launcher !== 'accelerate' && settings.accelerate_config !== undefined) {
    yield ['accelerate_config', 'needs --torch_launcher accelerate']
  }
}

function* flawsOfNode(settings: Wish): Generator<Flaw> {
  const standard = z.object(torchFields).parse({})
  for (const name of Object.keys(torchFields).filter(isTorchField)) {
    if (settings[name] !== standard[name]) yield [name, 'is for --engine torch']
  }
}

function isTorchField(name: string): name is keyof typeof torchFields {
  return Object.hasOwn(torchFields, name)
}
