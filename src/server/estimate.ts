/** @file A statistic with its interval, as reports hold it. */
import { z } from 'zod'

const known = z.object({ value: z.number(), low: z.number(), high: z.number() })
const unknown = z.object({ value: z.null(), low: z.null(), high: z.null() })

export const estimate = z.union([known, unknown])
