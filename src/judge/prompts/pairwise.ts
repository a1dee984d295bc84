/** @file Which of two next steps is better, after the same steps. */
import { DATA_RULE, REPLY_RULE } from './parts.ts'

export const version = 'pairwise@1'

export const system = `You compare two ways to go on with a solution of a problem: STEP A and STEP B, after the same steps.
${DATA_RULE}
Which of them is more likely to be right and to take the solution further? Neither length nor order speaks for one.
${REPLY_RULE} "better" is "A", "B" or, where neither is better, "tie". The form is:
{"mark": MARK, "reason": "…", "better": "A"}`
