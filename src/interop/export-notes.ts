/** @file How each trainer ends a text, and what an export does about it: told after `data convert`. */
import { basename } from 'node:path'
import { WRITTEN_COLUMN } from '../data/written.ts'
import type { UnfinishedPolicy } from './export-pairs.ts'
import type { ExportName } from './export-rows.ts'

interface Note {
  /** How the trainer ends a text. */
  readonly says: string
  /** Whether it ends every text, and what would be ended too early is left out or marked. */
  readonly isForced: boolean
  /** What finds the written file, where it must be said. */
  usage?(path: string): string
}

const notes: { readonly [N in ExportName]: Note } = {
  trl: {
    says: 'TRL ends every side: plain text with the EOS token, a message with the end of turn. It closes an answer that has begun (the last message of a prompt).',
    isForced: true,
  },
  'trl-tokens': {
    says:
      'The end of turn stands in the tokens where a side ends its solution, and nowhere else. TRL has no setting that takes ' +
      'tokens: train with a subclass of DPOTrainer whose _prepare_dataset(self, dataset, *args) returns the dataset as it is. ' +
      'Weights of tokens (chosen_weights, rejected_weights) are read by stepdpo alone.',
    isForced: false,
  },
  'step-dpo': {
    says: 'Step-DPO adds no end of text to any side: nothing learns to stop early, and nothing to stop after the last step either.',
    isForced: false,
  },
  'llama-factory': {
    says: "LLaMA-Factory's template ends every side. Rows whose answer has begun are skipped there.",
    isForced: true,
    usage: (path) => {
      const columns = { messages: 'conversations', chosen: 'chosen', rejected: 'rejected' }
      const entry = { file_name: basename(path), formatting: 'sharegpt', ranking: true, columns }
      return `For its dataset_info.json: ${JSON.stringify({ stepdpo: entry })}`
    },
  },
  'ms-swift': {
    says:
      "ms-swift ends every side with its template's suffix. An answer that has begun is joined to both sides and scored with them, " +
      'which cancels in the sigmoid loss.',
    isForced: true,
  },
  axolotl: {
    says:
      'axolotl renders each message with its end of turn, closes an answer that has begun, and hands the texts to TRL, which ends ' +
      'every one that does not end with the EOS token: none of its types leaves a side open.',
    isForced: true,
    usage: (path) =>
      `In its YAML: datasets: [{path: ${basename(path)}, ds_type: json, type: chat_template.default}]; prompts of plain text ` +
      'are left out: rows of --to trl have type user_defined.default.',
  },
  openrlhf: {
    says:
      'OpenRLHF takes the line ends off the end of every side and ends it with a space and the EOS token, unless its template has ' +
      'ended it so, and puts the EOS token in the place of the last token of a text that is too long.',
    isForced: true,
    usage: () =>
      'Its settings: prompt_key prompt, chosen_key chosen, rejected_key rejected, and apply_chat_template where the prompts are messages.',
  },
  'trl-unpaired': {
    says: "TRL's KTOTrainer ends every completion: plain text with the EOS token, a message with the end of turn. It closes an answer that has begun.",
    isForced: true,
  },
  'trl-stepwise': {
    says:
      "TRL's PRMTrainer, which newer versions lack, puts its step_separator behind each step and ends no text: it classifies, nothing learns to " +
      'stop. Each row is one completion behind right steps: set train_on_last_step_only, or right steps count in every row they stand in.',
    isForced: false,
  },
}

const FORCED: { readonly [P in UnfinishedPolicy]: string } = {
  drop:
    'A step in the middle of a solution would learn to stop there: such rows are left out; --to trl-tokens and step-dpo keep ' +
    'them.',
  mark:
    'A step in the middle of a solution would learn to stop there: columns that end in _terminal say which texts end their ' +
    'solutions. stepdpo reads them, the trainer does not: leave out, before it trains, rows in which one is false or whose answer ' +
    'it would close.',
}

const WRITTEN = `The column ${WRITTEN_COLUMN} is for stepdpo, which reads the same groups from the rows; the trainer leaves it out.`

/** What whoever trains on the written file must know. */
export function exportNote(to: ExportName, path: string, unfinished: UnfinishedPolicy): string {
  const { says, isForced, usage } = notes[to]
  return [says, ...(isForced ? [FORCED[unfinished]] : []), WRITTEN, ...(usage ? [usage(path)] : [])].join(' ')
}
