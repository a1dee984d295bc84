/** @file The log of a run: `log_history` of Trainer's state. */

/** The metrics of an update or of an evaluation, with `step`, the updates that were made, and `epoch`. */
export type LogEntry = Readonly<Record<string, number>>

/** Whether an entry tells of an evaluation. */
export function isEvaluation(entry: LogEntry): boolean {
  return 'eval_loss' in entry || 'eval_accuracy' in entry
}
