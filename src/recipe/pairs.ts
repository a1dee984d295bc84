/** @file Preference pairs from rollouts: judged, located, repaired, verified, paired. The `pairs` command. */
import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { lockFolder } from '../base/lock.ts'
import type { Pair } from '../data/pair-row.ts'
import { type Question, readQuestion } from '../data/prompt-rows.ts'
import type { Rollout } from '../data/rollout.ts'
import type { StageEvent } from '../data/stage-events.ts'
import type { JudgedRollout } from '../pair/judged.ts'
import { findLeaks, normaliseProblem } from '../pair/leak.ts'
import type { MadeFrom } from '../pair/make-pair.ts'
import { auditLines, auditPairs } from '../pair/pair-audit.ts'
import { siblingPairs } from '../pair/sibling-pairs.ts'
import { solutionPairs } from '../pair/solution-pairs.ts'
import { findChosen, findSites, type Reasons, type Site, stepPairs } from '../pair/step-pairs.ts'
import type { Generator } from '../rollout/generator.ts'
import { type Judged, joinJudgements, judgeStage } from './judge-stage.ts'
import { judgeSettingsOf, type PairsSettings } from './pairs-settings.ts'
import { openPolicy } from './policy.ts'
import { askingOf, readRollouts, sampleRollouts, samplingOf } from './sample.ts'
import type { World } from './world.ts'

export const PAIRS = 'pairs.jsonl'
/** The folder of judgements: a run of `judge` of its own. */
const JUDGE = 'judge'

interface Pairing {
  readonly settings: PairsSettings
  readonly folder: string
  readonly world: World
  readonly reasons: Reasons
}

/**
 * Makes the pairs of a file of rollouts into `output_dir`, and yields what happens. Judgements and continuations that
 * are there are not made again.
 * @throws UserError where no pair can be made, and says what to change.
 */
export async function* makePairs(settings: PairsSettings, world: World): AsyncGenerator<StageEvent> {
  const folder = resolve(settings.output_dir)
  mkdirSync(folder, { recursive: true })
  const lock = lockFolder(folder)
  try {
    const started = world.seconds()
    const pairing = { settings, folder, world, reasons: new Map<string, number>() }
    const rollouts = await loadRollouts(settings)
    if (settings.check_leak !== undefined) await refuseLeaks(rollouts, settings.check_leak)
    const judged = yield* judgeStage({
      settings: judgeSettingsOf(settings),
      splitter: settings.splitter,
      path: settings.rollouts,
      folder: join(folder, JUDGE),
      world,
    })
    if (judged === undefined) return
    const pairs = yield* pairsOf(pairing, joinJudgements(rollouts, judged), judged)
    if (pairs === undefined) return
    const kept = limitPerProblem(distinct(pairs), settings.max_pairs_per_prompt, pairing.reasons)
    const audit = auditPairs(kept, pairing.reasons)
    writeDurably(join(folder, 'audit.json'), `${JSON.stringify(audit, null, 2)}\n`)
    if (kept.length === 0) throw new UserError(`no pair was made. ${adviceFor(rollouts, pairing.reasons)}`)
    writeDurably(join(folder, PAIRS), kept.map((pair) => `${JSON.stringify(pair)}\n`).join(''))
    yield { type: 'stage-end', stage: 'pairs', lines: auditLines(audit), seconds: world.seconds() - started, folder }
  } finally {
    lock.release()
  }
}

async function loadRollouts({ rollouts: path }: PairsSettings): Promise<readonly Rollout[]> {
  if (!existsSync(path))
    throw new UserError(`${path}: there is no such file of rollouts; \`stepdpo generate\` makes one`)
  const rollouts = [...(await readRollouts(path)).values()]
  if (rollouts.length > 0) return rollouts
  throw new UserError(`${path}: expected rollouts as \`stepdpo generate\` writes them, found none`)
}

/** @throws UserError where a problem of the rollouts stands in the other file too. */
export async function refuseLeaks(rollouts: readonly { readonly problem: string }[], other: string): Promise<void> {
  const groups = [...new Map(rollouts.map(({ problem }) => [normaliseProblem(problem), problem])).values()].map(
    (problem) => ({
      problem,
      prompt: { raw: problem },
      prefix: [],
      separator: '',
      members: [],
      place: { file: other },
    }),
  )
  const { leaks } = await findLeaks(groups, other)
  if (leaks.length === 0) return
  const example = JSON.stringify(leaks[0].problem.slice(0, 60))
  throw new UserError(
    `--check_leak: ${leaks.length} problems stand in ${other} too, the first is ${example}. What is measured on them says nothing`,
  )
}

function madeFrom({ settings }: Pairing, judge: string, rollouts: readonly JudgedRollout[]): MadeFrom {
  const { strategy, system_prompt: systemPrompt } = settings
  const maker = rollouts[0]?.rollout.maker ?? ''
  return { strategy, judge, maker, ...(systemPrompt === undefined ? {} : { systemPrompt }) }
}

async function* pairsOf(
  pairing: Pairing,
  rollouts: readonly JudgedRollout[],
  judged: Judged,
): AsyncGenerator<StageEvent, Pair[] | undefined> {
  const { settings, reasons } = pairing
  const made = madeFrom(pairing, judged.judge, rollouts)
  const options = { minMargin: settings.min_margin, maxPerProblem: settings.max_pairs_per_prompt }
  if (settings.strategy === 'dpo') return solutionPairs(rollouts, options, made, reasons)
  if (settings.strategy === 'siblings') return siblingPairs(rollouts, options, made, reasons)
  const sites = findSites(rollouts, reasons)
  const chosen = findChosen(sites, rollouts, settings.verify)
  const open = sites.filter((site) => !chosen.has(site))
  const continued = yield* repair(pairing, open)
  if (continued === undefined) return undefined
  for (const [site, sides] of findChosen(open, continued, settings.verify)) {
    chosen.set(
      site,
      sides.map((side) => ({ ...side, from: 'continuation' })),
    )
  }
  return stepPairs(sites, chosen, made, reasons)
}

/** Continuations of the prefixes of sites, of which those that end right are judged. Undefined where it was stopped. */
async function* repair(
  pairing: Pairing,
  sites: readonly Site[],
): AsyncGenerator<StageEvent, JudgedRollout[] | undefined> {
  const { settings, folder, world } = pairing
  const { base_model, num_resamples } = settings
  if (sites.length === 0 || num_resamples === 0) return []
  if (base_model === undefined) {
    const message = `${sites.length} prefixes have no right step among the rollouts; with --base_model they would be continued`
    yield { type: 'warning', message }
    return []
  }
  const policy = await openPolicy({ ...settings, base_model })
  const path = join(folder, 'continuations.jsonl')
  try {
    const made = yield* continueSites(pairing, sites, policy.generator, path)
    if (made === undefined) return undefined
    // Judging may cost: what cannot be chosen is not judged.
    const isWanted = ({ final_answer_correct, finish }: Rollout): boolean =>
      settings.verify === 'judge' || (final_answer_correct !== false && finish === 'stop')
    const right = made.filter(isWanted)
    if (right.length === 0) return []
    const candidates = join(folder, 'candidates.jsonl')
    writeDurably(candidates, right.map((rollout) => `${JSON.stringify(rollout)}\n`).join(''))
    const judged = yield* judgeStage({
      settings: judgeSettingsOf(settings),
      splitter: settings.splitter,
      path: candidates,
      folder: join(folder, JUDGE),
      world,
    })
    return judged === undefined ? undefined : joinJudgements(right, judged)
  } finally {
    await policy.dispose()
  }
}

function continueSites(
  { settings, world }: Pairing,
  sites: readonly Site[],
  generator: Generator,
  path: string,
): AsyncGenerator<StageEvent, readonly Rollout[] | undefined> {
  const beginnings = sites.map(({ problem, answer, prefix }) => ({
    question: questionOf(problem, answer),
    continued: prefix,
  }))
  const samples = settings.num_resamples
  return sampleRollouts({
    stage: 'pairs',
    generator,
    beginnings,
    samples,
    sampling: samplingOf({ ...settings, num_samples: 2 }),
    asking: askingOf(settings),
    path,
    world,
  })
}

function questionOf(problem: string, answer: string | null): Question {
  const reading = readQuestion({ problem })
  if ('bad' in reading) throw new Error(reading.bad)
  return { ...reading.question, answer }
}

function distinct(pairs: readonly Pair[]): Pair[] {
  return [...new Map(pairs.map((pair) => [pair.id, pair])).values()]
}

function limitPerProblem(pairs: readonly Pair[], limit: number, reasons: Reasons): Pair[] {
  const counts = new Map<string, number>()
  return pairs.filter(({ prompt }) => {
    const before = counts.get(prompt) ?? 0
    counts.set(prompt, before + 1)
    if (before >= limit)
      reasons.set('more than max_pairs_per_prompt', (reasons.get('more than max_pairs_per_prompt') ?? 0) + 1)
    return before < limit
  })
}

/** What somebody may change where nothing came of it. */
function adviceFor(rollouts: readonly Rollout[], reasons: Reasons): string {
  const told = [...reasons].map(([reason, times]) => `${reason}: ${times}`).join('; ')
  const wrong = rollouts.filter(({ final_answer_correct }) => final_answer_correct === false).length
  const right = rollouts.filter(({ final_answer_correct }) => final_answer_correct === true).length
  if (wrong === 0 && right > 0) {
    return `All ${right} rollouts are right: take harder problems, more samples or a higher temperature. ${told}`
  }
  if (right === 0 && wrong > 0) {
    return `All ${wrong} rollouts are wrong: take easier problems, more samples or a better model. ${told}`
  }
  return told
}
