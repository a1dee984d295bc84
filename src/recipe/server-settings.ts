/** @file The settings of asking a server, whatever it is asked for. */
import { z } from 'zod'

const group = 'Money and speed'
const count = z.number().int().positive()

export const serverFields = {
  concurrency: count.default(8).meta({ group, description: 'requests at once' }),
  rpm: count.optional().meta({ group, description: 'requests a minute at most' }),
  tpm: count.optional().meta({ group, description: 'tokens a minute at most' }),
  timeout: z.number().positive().default(120).meta({ group, description: 'seconds for a reply' }),
  attempts: count.default(6).meta({ group, description: 'times a request is sent at most' }),
}
