/** @file Steps that are decided without asking anybody: they say nothing, and judges have been fooled by them. */

/**
 * Phrases that say nothing and yet made judges approve (Zhao et al. 2025, "One Token to Fool LLM-as-a-Judge",
 * arXiv 2507.08794), without case and punctuation.
 */
const MASTER_KEYS = new Set([
  'thought process',
  'lets solve this problem step by step',
  'lets solve this step by step',
  'lets think step by step',
  'solution',
  'answer',
  'final answer',
  '解',
  'かいせつ',
  'respuesta',
])

function bare(step: string): string {
  return step
    .normalize('NFKC')
    .toLowerCase()
    .replace(/['’]/gu, '')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()
}

/** For each step, why no judge is asked about it; undefined where one is. */
export function unaskedSteps(steps: readonly string[]): (string | undefined)[] {
  const seen = new Set<string>()
  return steps.map((step) => {
    const text = step.trim().replace(/\s+/gu, ' ')
    const isRepeated = seen.has(text)
    seen.add(text)
    if (text === '') return 'the step is empty'
    if ([...text].length === 1 || bare(text) === '') return 'the step is a symbol alone'
    if (MASTER_KEYS.has(bare(text))) return 'the step says nothing'
    return isRepeated ? 'the step repeats an earlier one' : undefined
  })
}
