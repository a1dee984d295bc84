/** @file Text that holds a question and the first step of its solution, as data for process reward models have it. */

export interface QuestionStep {
  readonly question: string
  readonly step: string
}

/**
 * The question and the first step, which begins at the last "Step 1:", or after the last blank line where there is none;
 * undefined where neither is there.
 */
export function splitQuestion(content: string): QuestionStep | undefined {
  const marked = content.lastIndexOf('Step 1:')
  const at = marked >= 0 ? marked : content.lastIndexOf('\n\n')
  if (at < 0) return undefined
  const [question, step] = [content.slice(0, at).trim(), content.slice(at).trim()]
  return question === '' || step === '' ? undefined : { question, step }
}
