/** @file Text with maths. All of it becomes text nodes but what stands between delimiters of TeX, which becomes MathML. */
import katex from 'katex'
import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

/** `$…$` opens before a visible character and closes behind one, as in Pandoc: `$5 and $6` is money. */
const formula =
  /\$\$([^$]{1,4000}?)\$\$|\\\[(.{1,4000}?)\\\]|\\\((.{1,4000}?)\\\)|\$(?![\s\d.,]+\s)((?:[^$\\\n]|\\.){1,1000}?)(?<!\s)\$(?!\d)/gs

/** No more formulas of one text are set: the rest is shown as it is written. */
const MAX_FORMULAS = 200

export function MathText({ children }: { readonly children: string }) {
  return <>{splitMath(children)}</>
}

function splitMath(text: string): ComponentChildren[] {
  const parts: ComponentChildren[] = []
  let end = 0
  for (const match of text.matchAll(formula)) {
    if (parts.length > 2 * MAX_FORMULAS) break
    const [all, dollars, square, round, dollar] = match
    const tex = dollars ?? square ?? round ?? dollar ?? ''
    if (match.index > end) parts.push(text.slice(end, match.index))
    parts.push(<Formula key={match.index} tex={tex} written={all} isDisplay={(dollars ?? square) !== undefined} />)
    end = match.index + all.length
  }
  parts.push(text.slice(end))
  return parts
}

interface FormulaProps {
  readonly tex: string
  /** With its delimiters: shown where it is not TeX. */
  readonly written: string
  readonly isDisplay: boolean
}

function Formula({ tex, written, isDisplay }: FormulaProps) {
  const place = useRef<HTMLSpanElement>(null)
  useLayoutEffect(() => {
    if (place.current !== null) setFormula(place.current, { tex, written, isDisplay })
  }, [tex, written, isDisplay])
  return <span ref={place} class="formula" />
}

/** KaTeX makes nodes, never text of HTML. Links, pictures and attributes are not trusted, and expansion is bounded. */
function setFormula(place: HTMLElement, { tex, written, isDisplay }: FormulaProps): void {
  const settings = { displayMode: isDisplay, maxExpand: 200, maxSize: 20, strict: 'ignore', trust: false } as const
  try {
    katex.render(tex, place, { ...settings, output: 'mathml', throwOnError: true })
  } catch {
    place.textContent = written
  }
}
