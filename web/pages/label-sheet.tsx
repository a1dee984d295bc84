/** @file One solution to be labelled: its steps with their ratings, keys, and after the answer what the judge says. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { LabelInput, LabelOutcome, LabelTask } from '../../src/data/dashboard-labels.ts'
import type { Trace, TraceJudgement } from '../../src/data/dashboard-traces.ts'
import { count } from '../format.ts'
import { useData, useKeys } from '../hooks.ts'
import { type Draft, move, newDraft, rate, takeBack, toInput, whatIsMissing } from '../labelling.ts'
import { MathText } from '../math.tsx'
import { Switch } from '../parts.tsx'
import { letterOf, letterOfRating, lookOf, Mark } from '../steps.tsx'
import { OwnStepField } from './own-step.tsx'

interface SheetProps {
  readonly run: string
  readonly task: Pick<LabelTask, 'trace' | 'problem' | 'steps'>
  /** The judge was seen already: after the first answer. */
  readonly wasAnswered: boolean
  readonly submit: (input: LabelInput) => Promise<LabelOutcome | null>
  readonly skip: () => void
  readonly undo: () => void
  readonly goOn: () => void
}

const STOP_KEY = 'stepdpo-stop-at-error'

export function LabelSheet(props: SheetProps) {
  const { task } = props
  const [isWriting, setIsWriting] = useState(false)
  const { draft, setDraft, stops, turnStops, outcome, missing, actions } = useDraft(props, () => setIsWriting(true))
  const judge = useJudge(props.run, draft, outcome)
  return (
    <div class="sheet">
      <section class="problem" aria-label="Problem">
        <MathText>{task.problem}</MathText>
        {draft.badProblem && <span class="mark failed">! bad problem</span>}
        {draft.flagged && <span class="mark failed">⚑ flagged</span>}
      </section>
      <ol class="steps" aria-label="Steps">
        {task.steps.map((text, index) => (
          <SheetStep key={index} index={index} text={text} draft={draft} judge={judge} choose={setDraft} />
        ))}
      </ol>
      {isWriting && <OwnStepField draft={draft} change={setDraft} close={() => setIsWriting(false)} />}
      <div class="buttons">
        <Key name="1" text="✓ correct" press={actions['1']} />
        <Key name="2" text="○ neutral" press={actions['2']} />
        <Key name="3" text="✕ incorrect" press={actions['3']} />
        <button
          type="button"
          class="button"
          onClick={actions.Enter}
          disabled={outcome === null && missing !== null}
          title={missing ?? ''}
        >
          <kbd>Enter</kbd> {outcome === null ? 'Submit' : 'Next'}
        </button>
        <span class="muted small" role="status">
          {outcome === null ? (missing ?? 'Complete: Enter submits it.') : comparison(outcome)}
        </span>
      </div>
      <div class="buttons">
        <Key name="s" text="skip" press={actions.s} />
        <Key name="f" text="flag" press={actions.f} />
        <Key name="b" text="bad problem" press={actions.b} />
        <Key name="w" text="write the step" press={actions.w} />
        <Key name="u" text="undo" press={actions.u} />
        <span class="grow" />
        <Switch label="Stop at the first error" isOn={stops} onChange={turnStops} />
        <Switch label="Show the judge (o)" isOn={draft.judgeShown} onChange={actions.o} />
      </div>
      {draft.judgeShown && <p class="muted small">This label will not count in agreement: the judge was to be seen.</p>}
    </div>
  )
}

function Key({ name, text, press }: { readonly name: string; readonly text: string; readonly press: () => void }) {
  return (
    <button type="button" onClick={press}>
      <kbd>{name}</kbd> {text}
    </button>
  )
}

/** What the person says, and the keys by which they say it. After the answer it stands still. */
function useDraft({ task, wasAnswered, submit, skip, undo, goOn }: SheetProps, write: () => void) {
  const [draft, keep] = useState<Draft>({ ...newDraft(task), judgeShown: wasAnswered })
  const [stops, setStops] = useState(localStorage.getItem(STOP_KEY) !== 'no')
  const [outcome, setOutcome] = useState<LabelOutcome | null>(null)
  const isSending = useRef(false)
  const missing = whatIsMissing(draft, stops)
  const setDraft = (next: Draft) => outcome === null && !isSending.current && keep(next)
  const send = async () => {
    if (missing !== null || isSending.current) return
    isSending.current = true
    setOutcome(await submit(toInput(draft)))
    isSending.current = false
  }
  const turnStops = () => {
    localStorage.setItem(STOP_KEY, stops ? 'no' : 'yes')
    setStops(!stops)
  }
  const actions = {
    '1': () => setDraft(rate(draft, 1, stops)),
    '2': () => setDraft(rate(draft, 0, stops)),
    '3': () => setDraft(rate(draft, -1, stops)),
    j: () => setDraft(move(draft, 1)),
    k: () => setDraft(move(draft, -1)),
    Enter: () => (outcome === null ? void send() : goOn()),
    s: () => (outcome === null ? skip() : goOn()),
    f: () => setDraft({ ...draft, flagged: !draft.flagged }),
    b: () => setDraft({ ...draft, badProblem: !draft.badProblem }),
    w: () => outcome === null && write(),
    u: () => (outcome === null && draft.ratings.length > 0 ? setDraft(takeBack(draft)) : undo()),
    o: () => setDraft({ ...draft, judgeShown: true }), // what was seen cannot be hidden again
  }
  useKeys({ ...actions, '+': actions['1'], '0': actions['2'], '-': actions['3'], '−': actions['3'] })
  useEffect(() => {
    document.querySelector('[aria-current="step"]')?.scrollIntoView({ block: 'nearest' })
  }, [draft.current])
  return { draft, setDraft, stops, turnStops, outcome, missing, actions }
}

/** Null until the person has answered, or wants to see it. */
function useJudge(run: string, { trace, judgeShown }: Draft, outcome: LabelOutcome | null): TraceJudgement | null {
  const path = `/api/runs/${encodeURIComponent(run)}/traces/${encodeURIComponent(trace)}`
  const { data } = useData<Trace>(judgeShown ? path : null)
  return outcome?.judge ?? data?.judgements[0] ?? null
}

function comparison({ compared, same, judge }: LabelOutcome): string {
  if (judge === null) return 'Saved. No judge has scored this solution.'
  return `Saved. The judge says the same of ${count(same)} of ${count(compared)} steps that both rated.`
}

interface SheetStepProps {
  readonly index: number
  readonly text: string
  readonly draft: Draft
  readonly judge: TraceJudgement | null
  readonly choose: (draft: Draft) => void
}

function SheetStep({ index, text, draft, judge, choose }: SheetStepProps) {
  const letter = letterOfRating(draft.ratings[index] ?? null)
  const judged = judge?.steps[index]
  const own = draft.ownStep?.step === index ? draft.ownStep.text : null
  return (
    <li class={`step ${lookOf(letter).class}`} aria-current={draft.current === index ? 'step' : undefined}>
      <button
        type="button"
        class="step-number quiet"
        aria-label={`Step ${index + 1}`}
        onClick={() => choose(move({ ...draft, current: 0 }, index))}
      >
        {index + 1}
      </button>
      <div class="step-body">
        <p class="step-text">
          <MathText>{text}</MathText>
        </p>
        {own !== null && (
          <p class="own">
            <span class="tag">written</span> <MathText>{own}</MathText>
          </p>
        )}
        {judged !== undefined && judged.why !== '' && <p class="step-why">{judged.why}</p>}
      </div>
      <div class="step-marks">
        {letter !== '-' && <Mark letter={letter} />}
        {judged !== undefined && <Mark letter={letterOf(judged)} by="judge" />}
      </div>
    </li>
  )
}
