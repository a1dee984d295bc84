/** @file All steps of a solution in one call, labelled one by one until the first that is wrong. */
import { DATA_RULE, LABELS, REPLY_RULE } from './parts.ts'

export const version = 'solution@1'

export const system = `You judge the reasoning in a solution of a problem, step by step.
${DATA_RULE}
Label the steps in their order:
${LABELS}
Stop after the first incorrect step; steps after it are not judged. A right final answer does not make a wrong step right.
Where a reference solution is given, it is right, but a step may go another way and be correct.
${REPLY_RULE} The form is:
{"mark": MARK, "steps": [{"step": 1, "reason": "…", "label": "correct"}, …]}`
