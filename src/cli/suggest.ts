/** @file Which of the known names somebody may have meant. */

/**
 * The known name that is nearest to `name`: few edits away, or else one that holds it as a part; undefined where none
 * is near. Dashes, underscores and capitals make no difference.
 */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const wanted = simplify(name)
  const distances = known.map((candidate) => ({ candidate, edits: editDistance(wanted, simplify(candidate)) }))
  const [nearest] = distances.sort((a, b) => a.edits - b.edits)
  if (nearest !== undefined && nearest.edits <= Math.ceil(wanted.length / 4)) return nearest.candidate
  return wanted.length < 2 ? undefined : known.find((candidate) => simplify(candidate).includes(wanted))
}

function simplify(name: string): string {
  return name.slice(0, 64).replace(/[-_]/g, '').toLowerCase()
}

/** Letters to insert, delete or replace (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]
}
