/**
 * @file What the dashboard's server and its pages say to each other: every request and reply, types only; those of
 * traces, labels and reports are in the files named like this one. All replies are JSON. An error is `{ error }` with a
 * status of 400 and more; `error` is a sentence for people.
 *
 * | route | asks | replies |
 * |---|---|---|
 * | `GET /api/session` | | `Session` |
 * | `GET /api/runs` | | `RunsReply` |
 * | `GET /api/compare?runs=ID,ID` | at most 12 runs | `CompareReply` |
 * | `GET /api/runs/:run` | | `RunReply` |
 * | `GET /api/runs/:run/series?points=N` | thinned to N rows of each kind; all without it | `SeriesReply` |
 * | `GET /api/runs/:run/events` | server-sent events, see `LiveEvent` | |
 * | `GET /api/runs/:run/traces?…` | `TraceQuery` | `TracesReply` |
 * | `GET /api/runs/:run/traces/:trace` | | `Trace` |
 * | `GET /api/runs/:run/problems?q=&offset=&limit=` | | `ProblemsReply` |
 * | `GET /api/runs/:run/problems/:problem` | | `TreeReply` |
 * | `GET /api/runs/:run/pairs?…` | `PairQuery` | `PairsReply` |
 * | `POST /api/runs/:run/pairs/:pair` | `PairReview` | `PairItem` |
 * | `GET /api/runs/:run/labels?offset=&limit=` | the newest first | `LabelsReply` |
 * | `GET /api/runs/:run/labels/next?order=` | `LabelOrder` | `LabelTask`, or `{ done: true }` with its counts |
 * | `POST /api/runs/:run/labels` | `LabelInput` | `LabelOutcome` |
 * | `POST /api/runs/:run/labels/skip` | `{ trace }` | `LabelCounts` |
 * | `POST /api/runs/:run/labels/undo` | `{}` | `UndoOutcome` |
 * | `GET /api/runs/:run/judges` | | `JudgesReply` |
 * | `GET /api/runs/:run/evaluations` | | `EvaluationsReply` |
 *
 * Everything needs the cookie of `/login?token=…`; without it every route is 401. A POST is `application/json` of at
 * most 1 MiB, sent by a page of this server. `limit` is at most 200, and 100 where it is not given. Ids are opaque.
 * Pages are under `default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:;
 * connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'`: no `innerHTML`, no inline style or script.
 * Which page is shown stands behind the `#` of the address: `/` is the only one that gives index.html.
 *
 * A static copy (`--export`) is the built pages with the replies in `data/index.js` (`/api/session`, `/api/runs`) and, one
 * for each run, in `data/RUN.js`; `<html data-static>` says so. They are classic scripts, as a page of `file://` may
 * neither fetch nor load modules, so the page itself is one classic script with relative addresses too. Each calls
 * `stepdpoStatic(entries)` with a `StaticEntries`, which the page defines before it adds the `<script>`. Lists stand under
 * their path without a query and hold what was copied; pages filter and sort them themselves. `/api/compare`, events and
 * POST are not there: `Session.isStatic`.
 */

/** A statistic with the bounds of its 95 % interval; all null where it is not defined. */
export type Estimate =
  | { readonly value: number; readonly low: number; readonly high: number }
  | { readonly value: null; readonly low: null; readonly high: null }

/** Replies by their paths. */
export type StaticEntries = Readonly<Record<string, unknown>>

export interface Session {
  /** Who labels, as it stands in labels.jsonl. */
  readonly who: string
  readonly version: string
  /** The folder of runs, as it was given. */
  readonly folder: string
  /** Nothing can be written, and there are no events. */
  readonly isStatic: boolean
}

/** Part of a long list. */
export interface Page<Item> {
  readonly items: readonly Item[]
  readonly offset: number
  /** That the filters let through. */
  readonly found: number
  /** All. */
  readonly total: number
}

/** `stopped`: by the user, can be resumed; `ended`: the process went away before the end; `idle`: nothing trains here. */
export type RunState = 'running' | 'finished' | 'stopped' | 'ended' | 'idle'

export interface RunSummary {
  readonly id: string
  /** The folder below the folder of runs; text of strangers. */
  readonly name: string
  /** Such as `2026-11-22_calm-otter`; null before training. */
  readonly runName: string | null
  readonly model: string | null
  readonly state: RunState
  readonly update: number | null
  readonly updates: number | null
  /** Of the last update. */
  readonly loss: number | null
  readonly accuracy: number | null
  readonly margin: number | null
  /** Of the last evaluation. */
  readonly evalLoss: number | null
  /** US dollars for judges; null where nothing was asked over a network. */
  readonly cost: number | null
  /** When a file of it last changed, ISO 8601. */
  readonly changed: string
  readonly alarms: number
  /** What it holds. Traces are counted once they are read: null before the run is opened. */
  readonly traces: number | null
  readonly files: {
    readonly training: boolean
    readonly rollouts: boolean
    readonly judgements: boolean
    readonly pairs: boolean
    readonly evaluation: boolean
    readonly labels: boolean
  }
}

export interface RunsReply {
  readonly runs: readonly RunSummary[]
}

export interface Alarm {
  readonly update: number
  readonly name: string
  readonly text: string
  readonly remedy: string
}

export interface CheckpointInfo {
  readonly name: string
  readonly update: number
  readonly isBest: boolean
  readonly bytes: number
  readonly changed: string
}

/** What one purpose spent on one model: a line of llm_usage.jsonl. */
export interface UsageRow {
  readonly purpose: string
  readonly model: string
  readonly promptVersion: string
  readonly calls: number
  readonly failures: number
  /** Requests that nobody knows the end of. */
  readonly unknown: number
  readonly promptTokens: number
  readonly completionTokens: number
  /** US dollars; null where a price is not known. */
  readonly cost: number | null
  /** The mean of a reply; null where it was not noted. */
  readonly seconds: number | null
}

/** A line of events.jsonl: a `RunEvent` with `time` (ISO 8601) and `type`; numbers that JSON lacks are strings. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly type: string; readonly time: string }

export interface RunReply extends RunSummary {
  /** All settings of training, as texts; null without training. */
  readonly settings: Readonly<Record<string, string>> | null
  /** Versions, machine, model and data: what env.json and the first events say. */
  readonly environment: Readonly<Record<string, unknown>>
  /** all_results.json. */
  readonly results: Readonly<Record<string, unknown>> | null
  readonly usage: readonly UsageRow[]
  readonly checkpoints: readonly CheckpointInfo[]
  readonly raised: readonly Alarm[]
  /** Rewards by the position of the step (`1`, `2` …) after updates; null before the run's end. */
  readonly stepRewards: {
    readonly updates: readonly number[]
    readonly rows: readonly {
      readonly side: string
      readonly position: string
      readonly rewards: readonly (number | null)[]
    }[]
  } | null
  /** The last 200 lines that are no `update-end`, oldest first. */
  readonly log: readonly LogLine[]
}

/** Columns of equal length. `update` and `epoch` (null where it is not logged) are the x-axes. */
export interface SeriesTable {
  readonly update: readonly number[]
  readonly epoch: readonly (number | null)[]
  /** By the metric's name; null where it is not logged, or no finite number. */
  readonly columns: Readonly<Record<string, readonly (number | null)[]>>
}

export interface SeriesReply {
  readonly run: string
  readonly train: SeriesTable
  readonly eval: SeriesTable
  /** From events.jsonl, by update: not part of metrics.jsonl, which a resumed run repeats exactly. */
  readonly speed: SeriesTable
}

/**
 * Server-sent events. `event: log` has a `LogLine` and an id: reconnecting with Last-Event-ID goes on behind it; without
 * an id the stream begins at the end of the file as it stands (`?from=start`: at its beginning). `event: reset` says that
 * the log was begun anew. `event: changed` has `LiveCounts`, at the beginning and when one changes. A comment comes every
 * 15 s. A client that does not read is dropped.
 */
export type LiveEvent =
  | { readonly event: 'log'; readonly id: string; readonly data: LogLine }
  | { readonly event: 'reset'; readonly data: Readonly<Record<string, never>> }
  | { readonly event: 'changed'; readonly data: LiveCounts }

export interface LiveCounts {
  readonly state: RunState
  readonly traces: number
  readonly pairs: number
  readonly labels: number
}

export interface CompareReply {
  readonly runs: readonly RunSummary[]
  /** Settings that differ, each with a value for each run; null where it has none. */
  readonly settings: readonly { readonly name: string; readonly values: readonly (string | null)[] }[]
  readonly results: readonly { readonly name: string; readonly values: readonly (number | null)[] }[]
  /** Thinned to 1,000 rows. */
  readonly series: readonly SeriesReply[]
}
