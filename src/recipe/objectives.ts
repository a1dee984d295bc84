/** @file What each objective learns from. */

/** In the order of help. */
export const OBJECTIVES = ['step_dpo', 'dpo', 'scdpo', 'full_step_dpo', 'custom', 'sft', 'prm'] as const

export type ObjectiveName = (typeof OBJECTIVES)[number]

/** What members of a group are to an objective: preferred to others, shown to be learned, or right or wrong by themselves. */
export type Lesson = 'preferences' | 'demonstrations' | 'verdicts'

const lessons: { readonly [N in ObjectiveName]: Lesson } = {
  step_dpo: 'preferences',
  dpo: 'preferences',
  scdpo: 'preferences',
  full_step_dpo: 'preferences',
  custom: 'preferences',
  sft: 'demonstrations',
  prm: 'verdicts',
}

export function lessonOf({ objective }: { readonly objective: ObjectiveName }): Lesson {
  return lessons[objective]
}

/** Objectives that compare steps of two sides. */
export const PREFERENCE_OBJECTIVES = ['step_dpo', 'dpo', 'scdpo', 'full_step_dpo', 'custom'] as const

export type PreferenceObjective = (typeof PREFERENCE_OBJECTIVES)[number]

export function isPreference(name: ObjectiveName): name is PreferenceObjective {
  return lessons[name] === 'preferences'
}
