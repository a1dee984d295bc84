/** @file Preference pairs from rollouts: judged, located, repaired, verified, paired. The `pairs` command. */
import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { UsageError, UserError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { lockFolder } from '../base/lock.ts'
import { LABELS, type Label, type LabelLine, readLabelLines, standingLabels } from '../data/labels.ts'
import { findDataFile } from '../data/locate.ts'
import type { Pair } from '../data/pair-row.ts'
import type { Rollout } from '../data/rollout.ts'
import type { StageEvent } from '../data/stage-events.ts'
import { badProblems } from '../pair/human.ts'
import { findLeaks, normaliseProblem } from '../pair/leak.ts'
import { auditLines, auditPairs } from '../pair/pair-audit.ts'
import { count, type Reasons } from '../pair/reasons.ts'
import type { Pairing } from './pair-parts.ts'
import { loadRollouts, usableRollouts } from './pair-rollouts.ts'
import { strategies } from './pair-strategies.ts'
import type { PairsSettings } from './pairs-settings.ts'
import type { World } from './world.ts'

export const PAIRS = 'pairs.jsonl'
const AUDIT = 'audit.json'

/**
 * Makes the pairs of a file of rollouts into `output_dir`, and yields what happens. Judgements and continuations that
 * are there are not made again.
 * @throws UserError where no pair can be made, and says what to change.
 */
export async function* makePairs(settings: PairsSettings, world: World): AsyncGenerator<StageEvent> {
  checkSettings(settings)
  const folder = resolve(settings.output_dir)
  mkdirSync(folder, { recursive: true })
  const lock = lockFolder(folder)
  const started = world.seconds()
  let pairing: Pairing | undefined
  try {
    const rollouts = yield* loadRollouts(settings.rollouts)
    if (settings.check_leak !== undefined) await refuseLeaks(rollouts, settings.check_leak)
    const labels = settings.use_human_labels ? await findLabels(settings, folder) : new Map<string, Label>()
    pairing = beginPairing({ settings, folder, world, labels }, rollouts)
    const usable = usableRollouts(rollouts, pairing.reasons, badProblems(labels))
    const pairs = yield* strategies[settings.strategy](pairing, usable)
    if (pairs === undefined) return
    const lines = writePairs(pairing, rollouts, pairs)
    yield { type: 'stage-end', stage: 'pairs', lines, seconds: world.seconds() - started, folder }
  } finally {
    await pairing?.policy?.dispose()
    lock.release()
  }
}

/** @throws UsageError for settings that do not go together. */
function checkSettings(settings: PairsSettings): void {
  const { strategy, locate, verify, reward_model, base_model, num_resamples } = settings
  const isJudging = strategy === 'siblings' || (strategy === 'step_dpo' && locate !== 'monte_carlo')
  const isVerifying = (strategy === 'step_dpo' || strategy === 'scdpo') && verify !== undefined && verify !== 'answer'
  if (reward_model === undefined && (isJudging || isVerifying)) {
    const instead = strategy === 'step_dpo' ? ', or say --locate monte_carlo --verify answer, which need none' : ''
    throw new UsageError(`--reward_model is missing: the judge whose word counts${instead}`)
  }
  const isSampling = strategy === 'scdpo' || (strategy === 'step_dpo' && locate !== 'judge')
  if (isSampling && base_model === undefined)
    throw new UsageError('--base_model is missing: continuations are sampled from it')
  if (isSampling && num_resamples === 0) throw new UsageError('--num_resamples: expected 1 at least, found 0')
}

function beginPairing(
  given: Pick<Pairing, 'settings' | 'folder' | 'world' | 'labels'>,
  rollouts: readonly Rollout[],
): Pairing {
  return {
    ...given,
    makers: new Set(rollouts.map(({ maker }) => maker)),
    reasons: new Map(),
    verdicts: new Map(),
    judge: null,
    agreement: null,
    policy: undefined,
  }
}

/** The labels of people: beside the rollouts or the pairs, or a folder above, where a run of several rounds has them. */
async function findLabels({ rollouts }: PairsSettings, folder: string): Promise<ReadonlyMap<string, Label>> {
  const own = dirname(resolve(findDataFile(rollouts)))
  const folders = new Set([dirname(own), own, dirname(folder), folder])
  const lines: LabelLine[] = []
  for (const one of folders) lines.push(...(await readLabelLines(join(one, LABELS))))
  return standingLabels(lines.sort((a, b) => Date.parse(a.when) - Date.parse(b.when))).labels
}

/** Writes the pairs that are kept, and the audit, whose words come back. */
function writePairs(
  { settings, folder, reasons, verdicts, agreement }: Pairing,
  rollouts: readonly Rollout[],
  pairs: readonly Pair[],
): string[] {
  const kept = limitPerProblem(distinctPairs(pairs, reasons), settings.max_pairs_per_prompt, reasons)
  const problems = new Set(rollouts.map(({ problem }) => problem)).size
  const audit = auditPairs(kept, { rollouts: rollouts.length, problems, dropped: reasons, verdicts, agreement })
  writeDurably(join(folder, AUDIT), `${JSON.stringify(audit, null, 2)}\n`)
  const path = join(folder, PAIRS)
  if (kept.length === 0) {
    rmSync(path, { force: true }) // those of other settings
    throw new UserError(`no pair was made. ${adviceFor(rollouts, reasons)}`)
  }
  writeDurably(path, kept.map((pair) => `${JSON.stringify(pair)}\n`).join(''))
  const { check_leak } = settings
  return [...auditLines(audit), ...(check_leak === undefined ? [] : [`none of the problems stands in ${check_leak}`])]
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

function distinctPairs(pairs: readonly Pair[], reasons: Reasons): Pair[] {
  const distinct = new Map(pairs.map((pair) => [pair.id, pair]))
  if (distinct.size < pairs.length) count(reasons, 'the same pair again', pairs.length - distinct.size)
  return [...distinct.values()]
}

/** The first pairs of each prompt. */
function limitPerProblem(pairs: readonly Pair[], limit: number, reasons: Reasons): Pair[] {
  const counts: Reasons = new Map()
  return pairs.filter(({ prompt }) => {
    const key = JSON.stringify(prompt)
    count(counts, key)
    const isKept = (counts.get(key) ?? 0) <= limit
    if (!isKept) count(reasons, 'more than max_pairs_per_prompt')
    return isKept
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
