/** @file The setting of how completions are cut into steps. */
import { z } from 'zod'
import { SPLITTERS } from '../text/steps.ts'

/** A splitter's name, or a pattern as `/…/flags`; `parseSplitter` reads it, and refuses a pattern that is none. */
export const splitterField = z
  .string()
  .regex(new RegExp(`^(?:${SPLITTERS.join('|')}|/.+/[dgimsuv]*)$`))
  .default('auto')
  .meta({
    group: 'Prompts',
    description: `how a completion is cut into steps: ${SPLITTERS.join(', ')}, or /pattern/flags`,
  })
