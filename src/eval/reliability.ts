/** @file How far a judge's scores are chances: of what is scored .8, are four in five right? */

/** A score and whether what it judged was right. */
export interface Outcome {
  readonly score: number
  readonly isRight: boolean
}

export interface ReliabilityBin {
  /** Scores in [low, high); the last bin holds 1 too. */
  readonly low: number
  readonly high: number
  readonly count: number
  /** Null in an empty bin. */
  readonly meanScore: number | null
  readonly shareRight: number | null
}

/** Scores by bins of equal width, empty ones among them. */
export function reliability(outcomes: readonly Outcome[], binCount = 10): ReliabilityBin[] {
  const bins = Array.from({ length: binCount }, () => ({ count: 0, scores: 0, right: 0 }))
  for (const { score, isRight } of outcomes) {
    const bin = bins[Math.min(binCount - 1, Math.floor(score * binCount))]
    bin.count++
    bin.scores += score
    bin.right += Number(isRight)
  }
  return bins.map(({ count, scores, right }, index) => ({
    low: index / binCount,
    high: (index + 1) / binCount,
    count,
    meanScore: count === 0 ? null : scores / count,
    shareRight: count === 0 ? null : right / count,
  }))
}

/**
 * Expected calibration error: Σ count/n · |share right − mean score| over bins of equal width (Guo et al. 2017, arXiv
 * 1706.04599, equation 3). Null without outcomes.
 */
export function expectedCalibrationError(outcomes: readonly Outcome[], binCount = 10): number | null {
  if (outcomes.length === 0) return null
  const gaps = reliability(outcomes, binCount).map(({ count, meanScore, shareRight }) =>
    meanScore === null || shareRight === null ? 0 : count * Math.abs(shareRight - meanScore),
  )
  return gaps.reduce((sum, gap) => sum + gap, 0) / outcomes.length
}

/** Mean of (score − right)² (Brier 1950). Null without outcomes. */
export function brierScore(outcomes: readonly Outcome[]): number | null {
  if (outcomes.length === 0) return null
  return outcomes.reduce((sum, { score, isRight }) => sum + (score - Number(isRight)) ** 2, 0) / outcomes.length
}
