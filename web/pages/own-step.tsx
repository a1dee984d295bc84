/** @file A field for the step that should stand in place of the one looked at. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Draft } from '../labelling.ts'

interface FieldProps {
  readonly draft: Draft
  readonly change: (draft: Draft) => void
  readonly close: () => void
}

/** Ctrl-Enter keeps it, Escape does not. */
export function OwnStepField({ draft, change, close }: FieldProps) {
  const step = Math.min(draft.current, draft.ratings.length)
  const [text, setText] = useState(draft.ownStep?.step === step ? draft.ownStep.text : '')
  const field = useRef<HTMLTextAreaElement>(null)
  useLayoutEffect(() => field.current?.focus(), [])
  const keep = () => {
    change({ ...draft, ownStep: text.trim() === '' ? null : { step, text: text.trim() } })
    close()
  }
  return (
    <div class="own-field">
      <label for="own-step">Step {step + 1} as it should be</label>
      <textarea
        id="own-step"
        ref={field}
        rows={3}
        maxLength={10_000}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') close()
          if (event.key === 'Enter' && event.ctrlKey) keep()
        }}
      />
      <button type="button" onClick={keep}>
        Keep <kbd>Ctrl Enter</kbd>
      </button>
      <button type="button" class="quiet" onClick={close}>
        Leave <kbd>Esc</kbd>
      </button>
    </div>
  )
}
