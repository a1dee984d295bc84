/**
 * @file What happens in a run, as typed events. The trainer yields them; the terminal, the run folder and the trackers
 * read them. Knows nothing of how they are shown.
 */

/**
 * Numbers under TRL's names (`loss`, `rewards/margins`, `eval_loss` …). No clock time is among them, so that a resumed
 * run repeats them exactly.
 */
export type Metrics = Readonly<Record<string, number>>

export type RunEvent =
  /** `adapter` in words, e.g. `LoRA r16`. */
  | Event<'run-begin', { run: string; folder: string; model: string; adapter: string; data: string; device: string }>
  /** Rows, completions or pairs that are not trained on, once per reason. `example` is the place of the first. */
  | Event<'rows-dropped', { what: string; count: number; total: number; reason: string; example: string }>
  | Event<'model-loaded', { parameters: number; trainable: number; seconds: number }>
  /** `updates` is the length of the whole run, also where it is resumed. */
  /** `examples` says what is learned from, in words: `1,024 pairs in 700 groups`. */
  | Event<
      'data-loaded',
      { groups: number; pairs: number; examples: string; problems: number; evalGroups: number; updates: number }
    >
  | Event<'run-resumed', { update: number; folder: string }>
  /** Pairs whose reference logps are known; `cached` of them were on disk. */
  | Event<'reference-progress', { done: number; total: number; cached: number }>
  /** `tokens` were computed in this update, which took `seconds`. */
  | Event<'update-end', UpdateEnd>
  | Event<'evaluation-begin', { update: number; total: number }>
  | Event<'evaluation-progress', { done: number; total: number }>
  | Event<'evaluation-end', { update: number; metrics: Metrics; seconds: number }>
  | Event<'checkpoint-saved', { update: number; folder: string; best: boolean }>
  /** A checkpoint that was not resumed from; an older one is tried. */
  | Event<'checkpoint-damaged', { folder: string; reason: string }>
  | Event<'warning', { message: string }>
  /** A sign in the metrics that training goes wrong, once until it was gone for a while; `remedy` names settings. */
  | Event<'alarm-raised', { update: number; name: string; text: string; remedy: string }>
  /** No improvement of `metric` for `waited` evaluations in a row. */
  | Event<
      'run-stopped-early',
      { update: number; metric: string; waited: number; best?: { value: number; update: number } }
    >
  /** Stopped by the user; `folder` is the checkpoint to resume from. */
  | Event<'run-interrupted', { update: number; folder: string }>
  | Event<'run-end', { update: number; seconds: number; metrics: Metrics; folder: string }>

export type EventOf<Type extends RunEvent['type']> = Extract<RunEvent, { readonly type: Type }>

type Event<Type extends string, Facts> = { readonly type: Type } & Readonly<Facts>

interface UpdateEnd {
  update: number
  updates: number
  epoch: number
  metrics: Metrics
  tokens: number
  seconds: number
  residentBytes: number
}

/** JSON in which no control that it lets through (DEL, C1) and no Unicode line end trips a terminal or a reader of lines. */
export function escapeControls(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * The event as one line of JSON without its line end, led by the time in UTC. Numbers that JSON lacks become strings:
 * `NaN`, `Infinity` and `-Infinity`, which `Number(…)` in JavaScript and `float(…)` in Python turn back.
 */
export function encodeEvent(event: RunEvent, time: Date): string {
  const json = JSON.stringify({ time, ...event }, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  )
  return escapeControls(json)
}
