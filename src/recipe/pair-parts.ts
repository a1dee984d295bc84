/** @file What the strategies of `pairs` are made of: solutions that are judged, and prefixes that are gone on from. */
import { join } from 'node:path'
import { UsageError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { sha256 } from '../base/hash.ts'
import { problemOfMessages } from '../data/judge-row.ts'
import type { Judgement } from '../data/judgement.ts'
import type { Label } from '../data/labels.ts'
import type { Question } from '../data/prompt-rows.ts'
import { promptOf, type Rollout } from '../data/rollout.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { heedPeople } from '../pair/human.ts'
import { type JudgedRollout, judgedRollout } from '../pair/judged.ts'
import { type PairPlace, placeKey } from '../pair/make-pair.ts'
import { count, type Reasons } from '../pair/reasons.ts'
import type { Sampling } from '../rollout/generator.ts'
import { judgementOf, judgeStage } from './judge-stage.ts'
import { judgeSettingsOf, type PairsSettings } from './pairs-settings.ts'
import { type OpenPolicy, openPolicy } from './policy.ts'
import { askingOf, sampleRollouts, samplingOf } from './sample.ts'
import type { World } from './world.ts'

/** Continuations of prefixes. One folder holds those of one policy and one way of sampling. */
const CONTINUATIONS = 'continuations.jsonl'
/** The folder of judgements: a run of `judge` of its own. */
const JUDGE = 'judge'

/** A run of `pairs`. What its parts find out beside their result they note here. */
export interface Pairing {
  readonly settings: PairsSettings
  readonly folder: string
  readonly world: World
  /** Who made the rollouts. */
  readonly makers: ReadonlySet<string>
  readonly reasons: Reasons
  /** Steps by what the judge said of them. */
  readonly verdicts: Reasons
  /** The name of the judge, once it was asked. */
  judge: string | null
  agreement: { readonly agreed: number; readonly of: number } | null
  /** What people say of solutions, by their ids. */
  readonly labels: ReadonlyMap<string, Label>
  /** Opened when it is first needed. */
  policy: OpenPolicy | undefined
}

/**
 * Rollouts with judgements; those that are not `wanted` go without one, as all do without a judge. `name` is the file of
 * what is judged. Undefined where the world's signal stopped it.
 */
export async function* judgeRollouts(
  pairing: Pairing,
  rollouts: readonly Rollout[],
  name: string,
  wanted: (rollout: Rollout) => boolean,
): AsyncGenerator<StageEvent, JudgedRollout[] | undefined> {
  const { settings, folder, world } = pairing
  const { reward_model, splitter } = settings
  const asked = rollouts.filter(wanted)
  const decide = (rollout: Rollout, judgement?: Judgement): JudgedRollout =>
    heedPeople(judgedRollout(rollout, judgement), pairing.labels, judgement?.aggregation)
  if (reward_model === undefined || asked.length === 0) return rollouts.map((rollout) => decide(rollout))
  const path = join(folder, name)
  const rows = asked.map(({ problem, steps }) => `${JSON.stringify({ problem, steps })}\n`)
  writeDurably(path, new Set(rows))
  const own = judgeSettingsOf({ ...settings, reward_model })
  const judged = yield* judgeStage({ settings: own, splitter, path, folder: join(folder, JUDGE), world })
  if (judged === undefined) return undefined
  pairing.judge = judged.judge
  return rollouts.map((rollout) => {
    const judgement = wanted(rollout) ? judgementOf(rollout, judged.byId) : undefined
    for (const verdict of judgement?.steps ?? []) {
      count(pairing.verdicts, verdict.state === 'scored' ? verdict.label : verdict.state)
    }
    return decide(rollout, judgement)
  })
}

/**
 * Samples what may follow after prefixes: `samples` continuations of each place, by its key. Undefined where the world's
 * signal stopped it.
 * @throws UsageError without a model to sample from.
 */
export async function* continueFrom(
  pairing: Pairing,
  places: readonly PairPlace[],
  samples: number,
  more: Partial<Sampling> = {},
): AsyncGenerator<StageEvent, ReadonlyMap<string, readonly Rollout[]> | undefined> {
  const { settings, folder, world } = pairing
  const distinct = [...new Map(places.map((place) => [placeKey(place), place]))]
  if (distinct.length === 0) return new Map()
  const { generator } = yield* openOnce(pairing)
  const rollouts = yield* sampleRollouts({
    stage: 'pairs',
    generator,
    beginnings: distinct.map(([, place]) => ({ question: questionOf(place), continued: place.prefix })),
    samples,
    sampling: { ...samplingOf({ ...settings, num_samples: 2 }), ...more },
    asking: askingOf({ answer_start: '', splitter: settings.splitter, last_number: settings.last_number }),
    path: join(folder, CONTINUATIONS),
    world,
  })
  return rollouts && new Map(distinct.map(([key], at) => [key, rollouts.slice(at * samples, (at + 1) * samples)]))
}

async function* openOnce(pairing: Pairing): AsyncGenerator<StageEvent, OpenPolicy> {
  const { settings, makers } = pairing
  if (pairing.policy !== undefined) return pairing.policy
  const { base_model } = settings
  if (base_model === undefined) throw new UsageError('--base_model is missing: continuations are sampled from it')
  const policy = await openPolicy({ ...settings, base_model }, pairing.world)
  pairing.policy = policy
  const { name } = policy.generator
  const [other] = [...makers].filter((maker) => !maker.startsWith(`${name} `))
  if (other !== undefined) {
    const message = `continuations are sampled from ${name}, but rollouts are of another policy: ${other}`
    yield { type: 'warning', message }
  }
  return policy
}

function questionOf({ prompt, answer }: PairPlace): Question {
  const isText = typeof prompt === 'string'
  const problem = isText ? prompt : problemOfMessages(prompt)
  const id = sha256(isText ? prompt : JSON.stringify(prompt))
  return { id, problem, prompt: promptOf({ problem, ...(isText ? {} : { asked: prompt }) }), answer }
}
