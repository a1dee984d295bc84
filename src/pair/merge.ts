/** @file Labelled solutions merged into groups: the members of a group are all that was labelled after one prefix. */
import type { InputPlace } from '../base/errors.ts'
import { type Candidate, type LabelledRow, problemOf } from '../data/labelled.ts'
import type { Group, Member, Prompt, Segment } from '../data/records.ts'
import { type Tallies, tally } from './tally.ts'

/** A member whose copies may still come. */
interface Draft extends Omit<Member, 'terminal' | 'count'> {
  terminal: boolean
  count: number
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
  solutions.memberCount++
  if (site === null || 'dropped' in candidate) {
    tally(solutions.dropped, 'dropped' in candidate ? candidate.dropped : 'no right prefix', place)
    return
  }
  const key = keyOf(candidate.content)
  const draft = site.drafts.get(key)
  if (draft === undefined) {
    site.drafts.set(key, { ...candidate, count: 1, isContradicted: false })
    return
  }
  draft.count++
  draft.isContradicted ||= draft.rating !== candidate.rating
  // A step that some solution goes on after does not end it.
  draft.terminal &&= candidate.terminal
}

/**
 * The groups: prefixes after which one member is rated higher than another. Texts that were given different ratings
 * after one prefix are left out, then groups without a better and a worse member; both are tallied.
 */
export function toGroups(solutions: Solutions): Group[] {
  return solutions.sites.flatMap((site) => {
    const members: Member[] = []
    for (const { isContradicted, ...member } of site.drafts.values()) {
      if (isContradicted) tally(solutions.dropped, 'rated differently', site.place, member.count)
      else members.push(member)
    }
    if (members.some(({ rating }) => rating !== members[0].rating)) return [toGroup(site, members)]
    for (const { count } of members) tally(solutions.dropped, 'no better or worse sibling', site.place, count)
    return []
  })
}

function toGroup(site: Site, members: readonly Member[]): Group {
  const { prompt, separator, place } = site
  const prefix: Segment[] = []
  for (let at: Site | null = site; at !== null; at = at.parent) {
    if (at.step !== null) prefix.push(at.step)
  }
  return { problem: problemOf(prompt), prompt, prefix: prefix.reverse(), separator, members, place }
}

/**
 * The groups of what is right: after each prefix the texts with a rating above 0. Texts that were given different
 * ratings after one prefix are left out.
 */
export function toDemonstrations(solutions: Solutions): Group[] {
  return solutions.sites.flatMap((site) => {
    const members: Member[] = []
    for (const { isContradicted, ...member } of site.drafts.values()) {
      if (isContradicted) tally(solutions.dropped, 'rated differently', site.place, member.count)
      else if (member.rating <= 0) tally(solutions.dropped, 'not rated right', site.place, member.count)
      else members.push(member)
    }
    return members.length > 0 ? [toGroup(site, members)] : []
  })
}
