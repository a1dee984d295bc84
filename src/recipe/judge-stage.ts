/** @file Judging as a stage of a longer recipe: rollouts of a file in, their judgements out. */
import type { JudgeEvent } from '../data/judge-events.ts'
import { makeRow } from '../data/judge-row.ts'
import type { Judgement } from '../data/judgement.ts'
import type { Rollout } from '../data/rollout.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { judgeFile, readJudgements } from './judge.ts'
import { openJudge } from './judge-parts.ts'
import type { JudgeSettings } from './judge-settings.ts'
import type { World } from './world.ts'

export interface JudgeStage {
  readonly settings: JudgeSettings
  /** As `parseSplitter` reads it. */
  readonly splitter: string
  /** The file of rollouts. */
  readonly path: string
  /** Where judgements go. */
  readonly folder: string
  readonly world: World
}

export interface Judged {
  readonly judge: string
  readonly byId: ReadonlyMap<string, Judgement>
}

/** Judges what the folder does not know. Undefined where the world's signal stopped it. */
export async function* judgeStage({
  settings,
  splitter,
  path,
  folder,
  world,
}: JudgeStage): AsyncGenerator<StageEvent, Judged | undefined> {
  const file = { dataset_path: path, output_dir: folder, splitter, batch_api: false, retry_errors: false }
  const whole = { ...settings, ...file, dry_run: false, strict: false, json: false }
  let judge = ''
  for await (const event of judgeFile(whole, world)) {
    if (event.type === 'judging-begin') judge = event.judge
    yield* stageEvents(event)
    if (event.type === 'judging-stopped') return undefined
  }
  return { judge, byId: await readJudgements(folder, judge) }
}

function* stageEvents(event: JudgeEvent): Generator<StageEvent> {
  const stage = 'judge'
  const unit = 'solutions'
  switch (event.type) {
    case 'judging-begin':
      yield { type: 'stage-begin', stage, facts: event.judge, known: event.known, total: event.solutions, unit }
      break
    case 'judgement-made': {
      const { done, total, seconds, cached, spent, steps } = event
      const cost = spent === null || spent === 0 ? '' : ` · $${spent.toFixed(4)}`
      const note = `${steps.failed} errors${cached > 0 ? ` · ${cached} cached` : ''}${cost}`
      yield { type: 'stage-progress', stage, done, total, unit, seconds, note }
      break
    }
    case 'rows-dropped':
      yield { ...event, type: 'items-dropped', stage, what: 'rows' }
      break
    case 'judging-stopped':
      yield { type: 'stage-stopped', stage, done: event.done, total: event.total, folder: event.folder }
      break
    case 'judging-end': {
      const { steps, score, aggregation, spent, seconds, folder } = event
      const counts = `${steps.scored} steps scored, ${steps.abstained} abstained, ${steps.failed} failed`
      const mean = score === null ? 'no score' : `mean score ${score.toFixed(3)} (${aggregation})`
      const cost = spent === null || spent === 0 ? '' : `, $${spent.toFixed(4)}`
      yield { type: 'stage-end', stage, lines: [`${counts}; ${mean}${cost}`], seconds, folder }
    }
  }
}

export function judgementOf({ problem, steps }: Rollout, byId: ReadonlyMap<string, Judgement>): Judgement | undefined {
  const made = makeRow({ problem, steps })
  return 'row' in made ? byId.get(made.row.id) : undefined
}

/** Opens the judge and closes it: what is wrong with it is better known before an hour of sampling than after. */
export async function tryJudge(settings: JudgeSettings, world: World): Promise<void> {
  const parts = await openJudge({ settings, world, run: world.spender ?? '', purpose: 'judge' })
  await parts.close()
}

/** What judging a file may cost at most, in words; null where nothing is asked over the network. */
export async function planJudging(
  settings: JudgeSettings,
  path: string,
  folder: string,
  world: World,
): Promise<string | null> {
  const file = {
    dataset_path: path,
    output_dir: folder,
    splitter: 'auto' as const,
    batch_api: false,
    retry_errors: false,
  }
  const plans: string[] = []
  for await (const event of judgeFile({ ...settings, ...file, dry_run: true, strict: false, json: false }, world)) {
    if (event.type !== 'judging-planned') continue
    for (const { judge, requests, cached, cost } of event.plans) {
      if (requests === cached) continue
      const price = cost === null ? 'at a price that is not known' : `$${cost.toFixed(2)} at most`
      plans.push(`${judge}: ${requests - cached} requests, ${price}`)
    }
  }
  const cap = settings.max_cost === undefined ? '' : `, never more than $${settings.max_cost} in all`
  return plans.length === 0 ? null : `judging asks ${plans.join('; ')}${cap}`
}
