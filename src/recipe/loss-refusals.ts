/** @file Which settings of losses do not go together, and why: what would be ignored or undefined is refused. */
import type { z } from 'zod'
import { entryOf, type Heeded, type LossType, lossesHeeding } from '../train/loss-table.ts'
import { asksKl, asksReference, comparesPairs, unitOf } from '../train/objective.ts'
import { type LossSettings, lossFields, optionSettings } from './loss-settings.ts'
import { lessonOf, type ObjectiveName } from './objectives.ts'

/** Those of settings that say which losses go together. */
interface Combination extends LossSettings {
  readonly objective: ObjectiveName
  readonly gradient_accumulation_steps: number
  readonly use_lora: boolean
  readonly precompute_ref_log_probs?: boolean
}

type Name = keyof Combination

/** A setting, and why it is refused. */
type Flaw = readonly [Name, string]

/** Refuses losses that do not go together or with other settings, for `superRefine`. */
export function refuseLosses(settings: Combination, context: z.RefinementCtx): void {
  const flaws =
    lessonOf(settings) === 'preferences'
      ? rules.flatMap((rule) => [...rule(settings, settings.loss_type)])
      : flawsWithoutPairs(settings)
  for (const [name, message] of flaws) context.addIssue({ code: 'custom', path: [name], message })
}

function isLossName(name: string): name is keyof typeof lossFields {
  return Object.hasOwn(lossFields, name)
}

const lossNames = Object.keys(lossFields).filter(isLossName)

/** Whether a setting is not what it is without a word. */
function isGiven(settings: LossSettings, name: keyof typeof lossFields): boolean {
  const standard = lossFields[name].parse(undefined)
  return JSON.stringify(settings[name]) !== JSON.stringify(standard)
}

function flawsWithoutPairs(settings: Combination): Flaw[] {
  return lossNames
    .filter((name) => isGiven(settings, name))
    .map((name): Flaw => [name, `has no meaning with objective ${settings.objective}, which has no pairs`])
}

/** The losses that ignore something. Next to others `sft` is no reason to refuse it: it looks at no label of a pair. */
function deafTo(option: Heeded, types: readonly LossType[]): LossType[] {
  const preferences = types.filter((type) => type !== 'sft')
  const asked = preferences.length === 0 ? types : preferences
  return asked.filter((type) => !entryOf(type).heeds.includes(option))
}

type Rule = (settings: Combination, types: readonly LossType[]) => Iterable<Flaw>

/** What changes the meaning of a pair must be heeded by every loss. */
const ofAll = ['labelSmoothing', 'doubt', 'divergence'] as const

function isOfAll(option: Heeded): boolean {
  return ofAll.some((one) => one === option)
}

function* flawsOfTerms({ loss_weights: weights }: Combination, types: readonly LossType[]): Generator<Flaw> {
  if (weights !== undefined && weights.length !== types.length) {
    const losses = types.join(', ')
    yield [
      'loss_weights',
      `expected one weight for each of loss_type (${losses}), ${types.length}, found ${weights.length}`,
    ]
  }
  const alone = types.find((type) => entryOf(type).unit !== 'pair')
  if (alone !== undefined && types.length > 1) {
    const unit = { pair: 'a pair', member: 'a member by itself', list: 'all members of a group' }[entryOf(alone).unit]
    yield ['loss_type', `${alone} is computed of ${unit}: it goes with no other loss`]
  }
}

function* flawsOfOptions(settings: Combination, types: readonly LossType[]): Generator<Flaw> {
  for (const [option, name] of optionEntries) {
    if (!isGiven(settings, name)) continue
    const heeding = lossesHeeding(option).join(', ')
    const deaf = isOfAll(option) ? deafTo(option, types) : lossesHeeding(option, types).length === 0 ? types : []
    if (deaf.length > 0) yield [name, `is ignored by loss ${deaf.join(', ')}; heeded by ${heeding}`]
  }
  const needing = types.find((type) => {
    const entry = entryOf(type)
    return entry.unit === 'pair' && entry.needsDoubt
  })
  if (needing !== undefined && settings.label_smoothing === 0) {
    yield ['label_smoothing', `must be above 0 with loss ${needing}, which is infinite there: 0.001, for instance`]
  }
}

function isOption(option: string): option is keyof typeof optionSettings {
  return Object.hasOwn(optionSettings, option)
}

const optionEntries = Object.keys(optionSettings)
  .filter(isOption)
  .map((option) => [option, optionSettings[option]] as const)

function* flawsOfBatches(settings: Combination, types: readonly LossType[]): Generator<Flaw> {
  const comparing = types.filter((type) => comparesPairs([type])).join(', ')
  if (comparing === '') return
  if (settings.gradient_accumulation_steps > 1) {
    yield [
      'gradient_accumulation_steps',
      `must be 1 with loss ${comparing}, which compares all pairs of a batch: raise per_device_train_batch_size instead`,
    ]
  }
  if (settings.use_weighting) {
    yield ['use_weighting', `cannot weigh the pairs of loss ${comparing}, which compares all pairs of a batch`]
  }
}

/** What is done to a pair before its loss. */
function* flawsOfTreatment(settings: Combination, types: readonly LossType[]): Generator<Flaw> {
  const { soft_labels: isSoft, label_smoothing: smoothing, use_weighting: isWeighted, ld_alpha: alpha } = settings
  if (isSoft && smoothing > 0) {
    yield ['soft_labels', 'gives each pair a doubt of its own, label_smoothing all of them the same: say one of both']
  }
  if (settings.f_divergence_type !== 'alpha_divergence' && isGiven(settings, 'f_alpha_divergence_coef')) {
    yield ['f_alpha_divergence_coef', 'is that of f_divergence_type alpha_divergence']
  }
  const unpaired = unitOf(types) === 'pair' ? undefined : types[0]
  if (isWeighted && unpaired !== undefined) yield ['use_weighting', `weighs pairs, which loss ${unpaired} has none of`]
  if (alpha === null) return
  if (unpaired !== undefined) {
    yield ['ld_alpha', `compares the lengths of the sides of a pair, which loss ${unpaired} has none of`]
  }
  if (asksKl(types)) {
    yield ['ld_alpha', `weighs log-probabilities; what it means for the KLs of loss ${withKl(types)} is not defined`]
  }
  if (types.every((type) => type === 'sft')) {
    yield ['ld_alpha', 'compares the lengths of the sides of a pair, and loss sft looks at one side']
  }
}

function withKl(types: readonly LossType[]): string {
  return types.filter((type) => asksKl([type])).join(', ')
}

/** Why something that is about the reference has no meaning, if it has none. */
function whyNoReference({ reference_free: isFree }: Combination, types: readonly LossType[]): string | undefined {
  if (isFree) return 'has no meaning with reference_free: nothing asks the reference'
  if (!asksReference(types)) return `has no meaning with loss ${types.join(', ')}: nothing asks the reference`
  return undefined
}

function* flawsOfReference(settings: Combination, types: readonly LossType[]): Generator<Flaw> {
  const { sync_ref_model: isSynced, precompute_ref_log_probs: isPrecomputed = false } = settings
  const noReference = whyNoReference(settings, types)
  if (settings.reference_free) {
    if (!asksReference(types)) yield ['reference_free', `is so already with loss ${types.join(', ')}`]
    if (asksKl(types))
      yield ['reference_free', `leaves loss ${withKl(types)} without the distribution it compares with`]
    if (settings.f_divergence_type !== 'reverse_kl') {
      yield [
        'reference_free',
        `has no meaning with f_divergence_type ${settings.f_divergence_type}, from the reference`,
      ]
    }
  }
  if (isPrecomputed && noReference !== undefined) yield ['precompute_ref_log_probs', noReference]
  if (isPrecomputed && asksKl(types)) {
    yield ['precompute_ref_log_probs', `keeps no distributions, which loss ${withKl(types)} asks for`]
  }
  if (!isSynced) {
    for (const name of ['ref_model_mixup_alpha', 'ref_model_sync_steps'] as const) {
      if (isGiven(settings, name)) yield [name, 'has no meaning without sync_ref_model']
    }
    return
  }
  if (noReference !== undefined) yield ['sync_ref_model', noReference]
  if (settings.use_lora) {
    yield ['sync_ref_model', 'needs use_lora false: the reference of an adapter is the model without it, which stays']
  }
  if (isPrecomputed) yield ['sync_ref_model', 'moves the reference, which precompute_ref_log_probs takes to stay']
}

const rules: readonly Rule[] = [flawsOfTerms, flawsOfOptions, flawsOfBatches, flawsOfTreatment, flawsOfReference]
