/** @file Labelled solutions merged into groups: the members of a group are all that was labelled after one prefix. */
import type { InputPlace } from '../base/errors.ts'
import { type Candidate, type LabelledRow, problemOf } from '../data/labelled.ts'
import type { Group, Member, Prompt, Segment } from '../data/records.ts'
import { type Tallies, tally } from './tally.ts'

/** A member whose copies may still come. */
interface Draft extends Omit<Member, 'terminal' | 'count'> {
  terminal: boolean
  count: number
  /** Its place among those of its site. */
  readonly at: number
  /** A copy has another rating. */
  isContradicted: boolean
}

/** What was read after one prefix. */
interface Site {
  readonly prompt: Prompt
  readonly separator: string
  readonly place: InputPlace
  readonly parent: Site | null
  /** The last step of the prefix; null before any step. */
  readonly step: Segment | null
  readonly drafts: Map<string, Draft>
  readonly next: Map<string, Site>
}

/** All solutions read so far. */
export interface Solutions {
  /** What was read before any step. */
  readonly roots: Map<string, Site>
  /** In the order in which they were read. */
  readonly sites: Site[]
  /** Labelled completions that are in no group. */
  readonly dropped: Tallies
  /** Labelled completions read. */
  memberCount: number
}

export function createSolutions(): Solutions {
  return { roots: new Map(), sites: [], dropped: new Map(), memberCount: 0 }
}

/**
 * Under what a row is merged with others: all solutions of its prompt where its format `merges`, the group it was written
 * of where it says so, else itself alone.
 */
export function rootOf({ prompt, group }: LabelledRow, merges: boolean, line: number): string {
  if (group !== undefined) return `group ${group}`
  return merges ? JSON.stringify(prompt) : `line ${line}`
}

/** Adds a solution; those under one `root` are merged where their prefixes are equal. */
export function addSolution(solutions: Solutions, row: LabelledRow, root: string, place: InputPlace): void {
  const { prompt, separator, steps } = row
  const start = { prompt, separator, place }
  let site: Site | null = reach(solutions, solutions.roots, root, { ...start, parent: null, step: null })
  for (const { candidates, next } of steps) {
    for (const candidate of candidates) addCandidate(solutions, site, candidate, place)
    if (site === null || next === null) site = null
    else site = reach(solutions, site.next, keyOf(next), { ...start, parent: site, step: next })
  }
}

function keyOf(segment: Segment): string {
  return typeof segment === 'string' ? segment : segment.join(' ')
}

/** The site under `key`, made where it is new. */
function reach(
  solutions: Solutions,
  known: Map<string, Site>,
  key: string,
  start: Omit<Site, 'drafts' | 'next'>,
): Site {
  const there = known.get(key)
  if (there !== undefined) return there
  const site: Site = { ...start, drafts: new Map(), next: new Map() }
  known.set(key, site)
  solutions.sites.push(site)
  return site
}

function addCandidate(solutions: Solutions, site: Site | null, candidate: Candidate, place: InputPlace): void {
  if (site === null || 'dropped' in candidate) {
    solutions.memberCount++
    tally(solutions.dropped, 'dropped' in candidate ? candidate.dropped : 'no right prefix', place)
    return
  }
  const { written, ...member } = candidate
  const key = keyOf(member.content)
  const draft = site.drafts.get(key)
  if (draft === undefined) {
    const { count, at } = written ?? { count: 1, at: site.drafts.size }
    site.drafts.set(key, { ...member, count, at, isContradicted: false })
    solutions.memberCount += count
    return
  }
  if (written === undefined) {
    draft.count++
    solutions.memberCount++
  }
  draft.isContradicted ||= draft.rating !== member.rating
  // A step that some solution goes on after does not end it.
  draft.terminal &&= member.terminal
}

/**
 * The groups of the members that `choose` takes of those read after a prefix. Texts that were given different ratings
 * after one prefix are left out before, and tallied.
 */
function collect(solutions: Solutions, choose: (members: readonly Member[], site: Site) => readonly Member[]): Group[] {
  return solutions.sites.flatMap((site) => {
    const members: Member[] = []
    for (const { isContradicted, at: _, ...member } of [...site.drafts.values()].sort((a, b) => a.at - b.at)) {
      if (isContradicted) tally(solutions.dropped, 'rated differently', site.place, member.count)
      else members.push(member)
    }
    const chosen = choose(members, site)
    return chosen.length > 0 ? [toGroup(site, chosen)] : []
  })
}

/** The groups of preferences: prefixes after which one member is rated higher than another. The others are tallied. */
export function toGroups(solutions: Solutions): Group[] {
  return collect(solutions, (members, { place }) => {
    if (members.some(({ rating }) => rating !== members[0].rating)) return members
    for (const { count } of members) tally(solutions.dropped, 'no better or worse sibling', place, count)
    return []
  })
}

/** The groups of all that is rated, also where nothing better or worse stands beside it. */
export function toMembers(solutions: Solutions): Group[] {
  return collect(solutions, (members) => members)
}

/** The groups of what is right: after each prefix the texts with a rating above 0. */
export function toDemonstrations(solutions: Solutions): Group[] {
  return collect(solutions, (members, { place }) =>
    members.filter(({ rating, count }) => {
      if (rating <= 0) tally(solutions.dropped, 'not rated right', place, count)
      return rating > 0
    }),
  )
}

function toGroup(site: Site, members: readonly Member[]): Group {
  const { prompt, separator, place } = site
  const prefix: Segment[] = []
  for (let at: Site | null = site; at !== null; at = at.parent) {
    if (at.step !== null) prefix.push(at.step)
  }
  return { problem: problemOf(prompt), prompt, prefix: prefix.reverse(), separator, members, place }
}
