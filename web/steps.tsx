/** @file Steps with what judge and people say of them: always a colour, a symbol and a word. */

import type { Rating } from '../src/data/dashboard-labels.ts'
import type { JudgedStep } from '../src/data/judgement.ts'
import { score } from './format.ts'
import { MathText } from './math.tsx'

interface Look {
  readonly class: string
  readonly symbol: string
  readonly word: string
}

/** By the letters of `StepLetters`. */
export const looks: Readonly<Record<string, Look>> = {
  c: { class: 'good', symbol: '✓', word: 'correct' },
  n: { class: 'neutral', symbol: '○', word: 'neutral' },
  i: { class: 'wrong', symbol: '✕', word: 'incorrect' },
  a: { class: 'none', symbol: '·', word: 'abstained' },
  f: { class: 'failed', symbol: '!', word: 'call failed' },
  '-': { class: 'none', symbol: ' ', word: 'not judged' },
}

const unknownLook: Look = { class: 'none', symbol: ' ', word: 'not judged' }

export function lookOf(letter: string): Look {
  return looks[letter] ?? unknownLook
}

export function letterOf(step: JudgedStep | null | undefined): string {
  if (step === null || step === undefined) return '-'
  if (step.state === 'scored') return step.label === 'correct' ? 'c' : step.label === 'neutral' ? 'n' : 'i'
  return step.state === 'abstained' ? 'a' : 'f'
}

export function letterOfRating(rating: Rating): string {
  if (rating === null) return '-'
  return rating === 1 ? 'c' : rating === 0 ? 'n' : 'i'
}

/** A solution at a glance: one mark for each step, at most 24. */
export function Strip({ letters, by }: { readonly letters: string; readonly by: string }) {
  const shown = [...letters.slice(0, 24)]
  const words = `${by}: ${shown.map((letter) => lookOf(letter).word).join(', ')}`
  return (
    <span class="strip" role="img" aria-label={words} title={words}>
      {shown.map((letter, index) => (
        <i key={index} class={lookOf(letter).class}>
          {lookOf(letter).symbol}
        </i>
      ))}
      {letters.length > shown.length && <span class="muted">+{letters.length - shown.length}</span>}
    </span>
  )
}

export function Mark({ letter, by }: { readonly letter: string; readonly by?: string }) {
  const look = lookOf(letter)
  return (
    <span class={`mark ${look.class}`}>
      <i aria-hidden="true">{look.symbol}</i>
      {by === undefined ? look.word : `${by}: ${look.word}`}
    </span>
  )
}

interface StepProps {
  readonly index: number
  readonly text: string
  readonly judged: JudgedStep | null
  /** A person's; null where nobody rated it. */
  readonly rating: Rating
  /** What the policy was given, not its own. */
  readonly isGiven?: boolean
  readonly isCurrent: boolean
}

/** A step with verdict, score, reason and votes. */
export function Step({ index, text, judged, rating, isGiven = false, isCurrent }: StepProps) {
  const letter = letterOf(judged)
  const look = lookOf(judged === null ? letterOfRating(rating) : letter)
  return (
    <li class={`step ${look.class}`} data-step={index} aria-current={isCurrent ? 'step' : undefined}>
      <div class="step-number">{index + 1}</div>
      <div class="step-body">
        <p class="step-text">
          <MathText>{text}</MathText>
        </p>
        {judged !== null && judged.why !== '' && <p class="step-why">{judged.why}</p>}
        {judged?.members !== undefined && <Votes members={judged.members} />}
      </div>
      <div class="step-marks">
        {judged !== null && <Mark letter={letter} />}
        {judged?.state === 'scored' && <ScoreBar value={judged.score} />}
        {rating !== null && <Mark letter={letterOfRating(rating)} by="person" />}
        {isGiven && <span class="tag">given</span>}
      </div>
    </li>
  )
}

function Votes({ members }: { readonly members: NonNullable<JudgedStep['members']> }) {
  return (
    <details class="votes">
      <summary>{members.length} judges</summary>
      <ul>
        {members.map((member, index) => (
          <li key={index}>
            <Mark letter={letterOf({ ...member, text: '' })} by={member.judge} />{' '}
            {member.state === 'scored' && score(member.score)} <span class="muted">{member.why}</span>
          </li>
        ))}
      </ul>
    </details>
  )
}

export function ScoreBar({ value }: { readonly value: number | null }) {
  if (value === null) return <span class="muted">–</span>
  const width = 40 * Math.min(1, Math.max(0, value))
  return (
    <span class="score">
      <svg viewBox="0 0 40 6" aria-hidden="true">
        <rect class="axis" width="40" height="6" rx="3" />
        <rect class="range" width={width} height="6" rx="3" />
      </svg>
      <b>{score(value)}</b>
    </span>
  )
}

/** Whether an answer is right, in colour, symbol and word. */
export function AnswerMark({ isRight }: { readonly isRight: boolean | null }) {
  if (isRight === null) return <span class="muted">no answer known</span>
  return (
    <span class={`mark ${isRight ? 'good' : 'wrong'}`}>
      <i aria-hidden="true">{isRight ? '✓' : '✕'}</i>
      {isRight ? 'right' : 'wrong'}
    </span>
  )
}
