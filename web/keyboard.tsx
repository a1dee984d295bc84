/** @file All keys, as a dialog. */
import { useEffect, useRef } from 'preact/hooks'

const groups: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  [
    'Everywhere',
    [
      ['?', 'these keys'],
      ['/', 'search'],
      ['g a', 'all runs'],
      ['g r', 'run'],
      ['g t', 'traces'],
      ['g b', 'tree of a problem'],
      ['g p', 'pairs'],
      ['g l', 'label'],
      ['g j', 'judges'],
      ['g e', 'evaluations'],
    ],
  ],
  [
    'Lists, steps',
    [
      ['j  k', 'next, one before'],
      ['Enter', 'open'],
      ['d', 'drop or restore a pair'],
    ],
  ],
  [
    'Label',
    [
      ['1  or  +', 'correct'],
      ['2  or  0', 'neutral'],
      ['3  or  −', 'incorrect'],
      ['j  k', 'next step, one before'],
      ['Enter', 'submit'],
      ['s', 'skip'],
      ['f', 'flag'],
      ['b', 'bad problem'],
      ['w', 'write the step yourself'],
      ['u', 'undo'],
      ['o', 'show what the judge says'],
    ],
  ],
]

export function Keyboard({ close }: { readonly close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} class="keyboard" onClose={close} aria-labelledby="keys-title">
      <form method="dialog">
        <h2 id="keys-title">Keys</h2>
        <button type="submit" class="quiet">
          Close
        </button>
      </form>
      <div class="key-groups">
        {groups.map(([title, keys]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map(([key, text]) => (
                <div key={key}>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{text}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </dialog>
  )
}
