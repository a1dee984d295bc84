/** @file Lines of coloured text, measured and cut before any escape sequence is in them. */
import { styleText } from 'node:util'
import { cutText, displayWidth, printable } from './width.ts'

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'cyan'

export interface Span {
  readonly text: string
  readonly style?: Style
}

export type Line = readonly Span[]

export function span(text: string, style?: Style): Span {
  return { text: printable(text), style }
}

export function lineWidth(line: Line): number {
  return line.reduce((sum, { text }) => sum + displayWidth(text), 0)
}

/** The first of the lines that fits into `width` columns; where none does, the last one, cut. */
export function firstThatFits(lines: readonly Line[], width: number): Line {
  return lines.find((line) => lineWidth(line) <= width) ?? cutLine(lines[lines.length - 1], width)
}

/** The line if it fits into `width` columns, else its beginning and `…`. */
export function cutLine(line: Line, width: number): Line {
  const out: Span[] = []
  let room = width
  for (const { text, style } of line) {
    if (room <= 0) break
    const kept = cutText(text, room)
    out.push({ text: kept, style })
    room -= displayWidth(text)
  }
  return out
}

/** The line as it is written, without its line end. */
export function paint(line: Line, colours: boolean): string {
  const show = ({ text, style }: Span): string =>
    // Whether the stream takes colours is known here; styleText would ask process.stdout.
    colours && style !== undefined ? styleText(style, text, { validateStream: false }) : text
  return line.map(show).join('')
}
