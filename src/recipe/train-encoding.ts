/** @file What a run's text becomes tokens by: the tokenizer, and for a process reward model the frame that it will judge in. */
import type { FormatName } from '../data/formats.ts'
import { newVerdicts, openVerdicts, PRM_FILE } from '../judge/verdicts.ts'
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts'
import type { TrainSettings } from './config.ts'
import { lessonOf } from './objectives.ts'
import type { Encoding, TrainText } from './train-data.ts'

/** Labels of these formats are Monte-Carlo estimates: the chance to reach the answer from a step on. */
const VALUE_FORMATS: readonly FormatName[] = ['math-shepherd', 'math-aps', 'omega-prm']

/** Rows of token ids need no tokenizer; all others do. `now` is the date that a chat template may print. */
export function encodingOf(settings: TrainSettings, text: TrainText, now: Date): Encoding {
  const isIds = text.loaded.every(({ format }) => format === 'pretokenised')
  if (isIds) return { encoder: undefined, verdicts: undefined }
  const encoder = loadTokenizer(settings.base_model, now)
  return { encoder, verdicts: lessonOf(settings) === 'verdicts' ? verdictsOf(settings, text, encoder) : undefined }
}

/** How a process reward model will read solutions like these. */
function verdictsOf({ step_separator }: TrainSettings, { loaded: [{ format }] }: TrainText, tokenizer: Tokenizer) {
  const meaning = VALUE_FORMATS.includes(format) ? 'value' : 'correctness'
  const settings = newVerdicts(tokenizer, step_separator, meaning)
  return { settings, frame: openVerdicts(settings, tokenizer, PRM_FILE) }
}
