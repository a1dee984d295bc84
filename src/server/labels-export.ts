/** @file What people said of solutions, as rows of others: PRM800K (github.com/openai/prm800k, README) and TRL. */
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { LABELS, type Label, readLabelLines, standingLabels } from '../data/labels.ts'
import { findRuns, resolveRoot } from './run-files.ts'

export type LabelFormat = 'prm800k' | 'trl'

/** A row, or nothing where the format has no place for the label. */
const writers: { readonly [F in LabelFormat]: (label: Label) => object | undefined } = {
  prm800k: prm800kRow,
  trl: trlRow,
}

export interface LabelsExport {
  readonly written: number
  /** Labels that the format has no place for. */
  readonly leftOut: number
}

/**
 * Writes the labels of all runs of a folder, those that stand, oldest first.
 * @throws UserError where there are none.
 */
export async function exportLabels(folder: string, format: LabelFormat, path: string): Promise<LabelsExport> {
  const labels: Label[] = []
  for (const run of findRuns(resolveRoot(folder))) {
    labels.push(...standingLabels(await readLabelLines(join(run.path, LABELS))).labels.values())
  }
  if (labels.length === 0)
    throw new UserError(`${folder}: nobody has labelled a solution here; \`stepdpo view\` is for that`)
  const rows = labels.map(writers[format]).filter((row) => row !== undefined)
  writeDurably(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return { written: rows.length, leftOut: labels.length - rows.length }
}

function ratedCount({ ratings }: Label): number {
  const first = ratings.indexOf(null)
  return first < 0 ? ratings.length : first
}

/** The steps up to the last that was rated, and one of the person's own behind it. */
function prm800kRow(label: Label): object {
  const { own_step: own, steps, ratings } = label
  const count = Math.max(ratedCount(label), own === null ? 0 : own.step + 1)
  return {
    labeler: label.who,
    timestamp: label.when,
    generation: null,
    is_quality_control_question: false,
    is_initial_screening_question: false,
    question: {
      problem: label.problem,
      ground_truth_answer: null,
      pre_generated_steps: steps,
    },
    label: {
      steps: steps.slice(0, count).map((text, at) => {
        const isChosen = ratings[at] !== null && ratings[at] >= 0
        const human = own?.step === at ? { text: own.text, rating: null, source: 'human', flagged: false } : null
        return {
          completions: [{ text, rating: ratings[at], flagged: label.flagged }],
          human_completion: human,
          chosen_completion: isChosen ? 0 : null,
        }
      }),
      total_time: null,
      finish_reason: finishOf(label),
    },
  }
}

function finishOf(label: Label): string {
  if (label.bad_problem) return 'bad_problem'
  if (label.ratings.includes(-1)) return 'found_error'
  return ratedCount(label) === label.steps.length ? 'solution' : 'give_up'
}

/** A neutral step is not wrong. What the labeller was not sure of, or a bad problem, is nothing to learn from. */
function trlRow(label: Label): object | undefined {
  const count = ratedCount(label)
  if (label.flagged || label.bad_problem || count === 0) return undefined
  return {
    prompt: label.problem,
    completions: label.steps.slice(0, count),
    labels: label.ratings.slice(0, count).map((rating) => rating !== -1),
  }
}
