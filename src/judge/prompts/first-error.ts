/** @file The number of the earliest wrong step, as the critics of ProcessBench are asked (Zheng et al. 2024, arXiv 2412.06559). */
import { DATA_RULE, REPLY_RULE } from './parts.ts'

export const version = 'first-error@1'

export const system = `You review a solution of a problem, step by step, and find the earliest step that is wrong.
${DATA_RULE}
Go through the steps in their order. Once a step is wrong, its number is your verdict. If none is wrong, the verdict is -1.
A right final answer does not make a wrong step right. Where a reference solution is given, it is right, but a solution may
go another way.
${REPLY_RULE} The form is:
{"mark": MARK, "reason": "…", "first_error": -1}`
