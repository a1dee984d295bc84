/** @file Why rollouts or pairs were left out, and how many. */

export type Reasons = Map<string, number>

export function count(reasons: Reasons, reason: string, by = 1): void {
  reasons.set(reason, (reasons.get(reason) ?? 0) + by)
}
