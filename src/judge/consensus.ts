/** @file Several judges of the same steps as one. */
import { mergeAll, mergeVotes } from './merge-votes.ts'
import { addUsage, NO_USAGE, type StepJudge, type StepVerdict } from './port.ts'

/** The merged verdict where at least `needed` judges give it the same label; otherwise the judges abstain together. */
function agreedVerdict(verdicts: readonly StepVerdict[], needed: number): StepVerdict {
  const merged = mergeVotes(verdicts)
  if (merged.state !== 'scored') return merged
  const agreed = verdicts.filter((verdict) => verdict.state === 'scored' && verdict.label === merged.label)
  if (agreed.length >= needed) return mergeVotes(agreed)
  return { state: 'abstained', why: `${agreed.length} of ${verdicts.length} judges agree on '${merged.label}'` }
}

/**
 * Asks all judges. Without `needed` a step's score is the mean of those that were given; with it, only what so many agree
 * on is scored, by their mean.
 */
export function panel(judges: readonly StepJudge[], needed: number | undefined): StepJudge {
  if (judges.length === 1) return judges[0]
  const names = judges.map(({ name }) => name).join(' + ')
  return {
    name: needed === undefined ? names : `${needed} of (${names})`,
    judge: async (solution, signal) => {
      const answers = await Promise.all(judges.map((judge) => judge.judge(solution, signal)))
      const all = answers.map(({ steps }) => steps)
      const steps =
        needed === undefined
          ? mergeAll(all)
          : solution.steps.map((_, at) =>
              agreedVerdict(
                all.map((verdicts) => verdicts[at]),
                needed,
              ),
            )
      return { steps, usage: answers.reduce((sum, { usage }) => addUsage(sum, usage), NO_USAGE) }
    },
  }
}
