/** @file How each trainer ends a text, and what an export does about it: told after `data convert`. */
import { basename } from 'node:path'
import type { ExportName, UnfinishedPolicy } from './export-pairs.ts'

const notes: { readonly [N in ExportName]: string } = {
  trl: 'TRL ends every side: plain text with the EOS token, a message with the end of turn. It closes an answer that has begun (the last message of a prompt).',
  'trl-tokens':
    'The end of turn stands in the tokens where a side ends its solution, and nowhere else. TRL has no setting that takes ' +
    'tokens: train with a subclass of DPOTrainer whose _prepare_dataset(self, dataset, *args) returns the dataset as it is.',
  'step-dpo':
    'Step-DPO adds no end of text to any side: nothing learns to stop early, and nothing to stop after the last step either.',
  'llama-factory': "LLaMA-Factory's template ends every side. Rows whose answer has begun are skipped there.",
  'ms-swift':
    "ms-swift ends every side with its template's suffix. An answer that has begun is joined to both sides and scored with them, " +
    'which cancels in the sigmoid loss.',
}

const FORCED: { readonly [P in UnfinishedPolicy]: string } = {
  drop:
    'A step in the middle of a solution would learn to stop there: such pairs are left out; --to trl-tokens and step-dpo keep ' +
    'them.',
  mark:
    'A step in the middle of a solution would learn to stop there: the columns chosen_terminal and rejected_terminal say which ' +
    'sides end their solutions. stepdpo reads them, the trainer does not: leave out, before it trains, rows in which one is false ' +
    'or whose answer it would close.',
}

/** LLaMA-Factory finds data sets by their entry in dataset_info.json. */
function registration(path: string): string {
  const columns = { messages: 'conversations', chosen: 'chosen', rejected: 'rejected' }
  const entry = { file_name: basename(path), formatting: 'sharegpt', ranking: true, columns }
  return `For its dataset_info.json: ${JSON.stringify({ stepdpo: entry })}`
}

/** What whoever trains on the written file must know. */
export function exportNote(to: ExportName, path: string, unfinished: UnfinishedPolicy): string {
  const isForced = to !== 'trl-tokens' && to !== 'step-dpo'
  const parts = [notes[to], ...(isForced ? [FORCED[unfinished]] : [])]
  return [...parts, ...(to === 'llama-factory' ? [registration(path)] : [])].join(' ')
}
