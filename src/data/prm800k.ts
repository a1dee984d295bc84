/** @file PRM800K rows of both phases: solutions whose steps people rated (github.com/openai/prm800k, README). */
import { z } from 'zod'
import {
  type Candidate,
  type LabelledStep,
  type NeutralPolicy,
  type Reading,
  type ReadOptions,
  userPrompt,
} from './labelled.ts'
import { type Bad, list, parseRow, stepText, toLineFeeds } from './schema.ts'

// Phase 1 has solutions of up to 107 steps and steps of up to 56 completions.
const MAX_STEPS = 1000
const MAX_COMPLETIONS = 500

// May be empty: such a completion is dropped, not its row.
const completionText = z.string().transform(toLineFeeds)

const completion = z.object({
  text: completionText,
  rating: z.literal([-1, 0, 1]).nullish(),
  flagged: z.boolean().nullish(),
})
type Completion = z.infer<typeof completion>

const humanCompletion = z.union(
  [completionText, z.object({ text: completionText, flagged: z.boolean().nullish() })],
  'expected text or an object with text',
)

const step = z
  .object({
    completions: list(completion, MAX_COMPLETIONS).nullish(),
    human_completion: humanCompletion.nullish(),
    chosen_completion: z.int().min(0).nullish(),
  })
  .refine(
    ({ completions, chosen_completion: chosen }) => chosen == null || chosen < (completions?.length ?? 0),
    'chosen_completion names no completion',
  )
type Step = z.infer<typeof step>

const schema = z.object({
  is_quality_control_question: z.boolean().nullish(),
  is_initial_screening_question: z.boolean().nullish(),
  question: z.object({
    problem: stepText,
    // Phase 2: the solution that was rated until its first error.
    pre_generated_steps: list(completionText, MAX_STEPS).nullish(),
  }),
  label: z.object({ steps: list(step, MAX_STEPS), finish_reason: z.string().nullish() }),
})

const NEUTRAL_RATING: { readonly [P in NeutralPolicy]: number | null } = { drop: null, negative: -1, positive: 1 }

/**
 * The solution a row followed, with the rated completions at each step. It goes on with the chosen completion; where none
 * was chosen, with the step a person wrote, which is a completion of rating 1 then; without either it ends there.
 */
export function readPrm800k(value: unknown, options: ReadOptions): Reading {
  const parsed = parsePrm800k(value)
  if (!('row' in parsed)) return parsed
  const { question, label } = parsed.row
  const steps = label.steps.map((labelled) => readStep(labelled, options.neutral))
  return { labelled: { prompt: userPrompt(question.problem), separator: options.separator, steps } }
}

/** The row as it stands, but for those that were not meant as data. */
export function parsePrm800k(value: unknown): { readonly row: z.infer<typeof schema> } | { dropped: string } | Bad {
  const parsed = parseRow(schema, value)
  if ('bad' in parsed) return parsed
  const { label, ...marks } = parsed.row
  if (marks.is_quality_control_question) return { dropped: 'quality control question' }
  if (marks.is_initial_screening_question) return { dropped: 'initial screening question' }
  if (label.finish_reason === 'bad_problem') return { dropped: 'bad problem' }
  return parsed
}

function readStep(labelled: Step, neutral: NeutralPolicy): LabelledStep {
  const { human_completion: human, chosen_completion: chosen } = labelled
  const completions = labelled.completions ?? []
  const candidates = completions.map((one) => readCompletion(one, neutral))
  if (chosen != null) return { candidates, next: completions[chosen].text } // what a person wrote besides is a draft
  const written = typeof human === 'string' ? { text: human } : human
  if (written == null) return { candidates, next: null }
  return { candidates: [...candidates, readCompletion({ ...written, rating: 1 }, neutral)], next: written.text }
}

function readCompletion({ text, rating, flagged }: Completion, neutral: NeutralPolicy): Candidate {
  if (flagged) return { dropped: 'flagged' }
  if (rating == null) return { dropped: 'unrated' }
  if (text.trim() === '') return { dropped: 'empty' }
  const used = rating === 0 ? NEUTRAL_RATING[neutral] : rating
  if (used === null) return { dropped: 'neutral' }
  return { content: text, rating: used, score: (used + 1) / 2, terminal: endsSolution(text) }
}

/** The last step of a solution carries its answer under this heading. */
function endsSolution(step: string): boolean {
  return step.startsWith('# Answer\n\n') || step.includes('\n\n# Answer\n\n')
}
