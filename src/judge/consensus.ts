/** @file Several judges of the same steps as one. */
import { mergeVotes } from './merge-votes.ts'
import { addUsage, type MergedVerdict, NO_USAGE, type StepJudge, type StepVerdict } from './port.ts'

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
 * on is scored, by their mean. Verdicts carry those of the members, in the order of the judges.
 */
export function panel(judges: readonly StepJudge[], needed: number | undefined): StepJudge {
  if (judges.length === 1) return judges[0]
  const names = judges.map(({ name }) => name)
  const all = names.join(' + ')
  return {
    name: needed === undefined ? all : `${needed} of (${all})`,
    meaning: judges.every(({ meaning }) => meaning === 'value') ? 'value' : 'correctness',
    judge: async (solution, signal) => {
      const answers = await Promise.all(judges.map((judge) => judge.judge(solution, signal)))
      const steps = solution.steps.map((_, at): MergedVerdict => {
        const verdicts = answers.map((answer): StepVerdict => answer.steps[at])
        const merged = needed === undefined ? mergeVotes(verdicts) : agreedVerdict(verdicts, needed)
        return { ...merged, members: verdicts.map((verdict, member) => ({ judge: names[member], ...verdict })) }
      })
      return { steps, usage: answers.reduce((sum, { usage }) => addUsage(sum, usage), NO_USAGE) }
    },
  }
}
