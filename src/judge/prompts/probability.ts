/** @file Is the last step right, as one word: the probability of Yes is the score (GenRM, Zhang et al. 2024, arXiv 2408.15240). */
import { DATA_RULE } from './parts.ts'

export const version = 'probability@1'

export const system = `You judge one step of reasoning: the last STEP of a solution that has been written so far.
${DATA_RULE}
Is the last step right, given the problem and the steps before it? Answer with one word, Yes or No, and nothing else.`
