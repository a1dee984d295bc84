/** @file What merge and check-adapter found, as lines of text. */
import { basename, resolve } from 'node:path'
import type { AdapterCheck } from '../recipe/check-adapter.ts'
import type { MergeReport } from '../recipe/merge.ts'
import { tableLines } from './table.ts'
import { printable, printableText } from './width.ts'

/** Of what an adapter changes, the part that may be lost without a word. */
const MUCH_ROUNDING = 0.1

export function mergeLines({ folder, dtype, files, bytes, tensors, merged, rounding, note }: MergeReport): string[] {
  const share = `${(100 * rounding).toPrecision(2)} %`
  const lost = `rounding to ${dtype} changes the merged weights by ${share} of what the adapter changes`
  return [
    `merged ${merged} of ${tensors} tensors, ${dtype}, ${(bytes / 1e6).toPrecision(4)} MB: ${folder}`,
    `  ${files.join('  ')}`,
    ...(rounding > 0 ? [`${lost}${rounding > MUCH_ROUNDING ? ': --dtype float32 loses nothing' : ''}`] : []),
    ...(note === undefined ? [] : [note]),
  ]
}

const short = (value: number): string => (value === 0 ? '0' : value.toPrecision(3))

export function checkLines(check: AdapterCheck, width: number | undefined): string[] {
  const { rank, alpha, scale, dropout, modules, texts } = check
  const rows = modules.map(({ name, count, changing, size }) => [name, `${changing}/${count}`, short(100 * size)])
  const changes = texts.map(({ prompt, tokens, maxDifference, meanDifference, kl, maxKl, topChanges }) => [
    ...[printableText(prompt).replaceAll('\n', ' ').slice(0, 40), String(tokens)],
    ...[short(maxDifference), short(meanDifference), short(kl), short(maxKl), `${topChanges}/${tokens}`],
  ])
  const head = ['text', 'tokens', 'max |Δlogit|', 'mean |Δlogit|', 'mean KL', 'max KL', 'top-1 changed']
  const [made, here] = [check.made_for, check.base_model].map((path) => basename(resolve(path)))
  return [
    `${check.adapter} on ${check.base_model}: fits`,
    ...(check.made_for === '' || made === here ? [] : [`made for ${printable(made)}: is ${here} the same model?`]),
    `rank ${rank}, alpha ${alpha}, scale ${Number(scale.toPrecision(6))}${dropout > 0 ? `, dropout ${dropout}` : ''}`,
    '',
    ...tableLines({ head: ['module', 'B not zero', 'change of W in %'], rows }, width),
    ...(texts.length === 0 ? [] : ['', ...tableLines({ head, rows: changes }, width)]),
    ...texts.flatMap(({ prompt, base, adapted }) => [
      '',
      ...indented('question', prompt),
      ...indented('without', base),
      ...(adapted === base ? ['with      (the same)'] : indented('with', adapted)),
    ]),
  ]
}

/** A text beside its name. */
function indented(name: string, text: string): string[] {
  const lines = printableText(text).trim().split('\n')
  return lines.map((line, at) => `${(at === 0 ? name : '').padEnd(9)} ${line}`.trimEnd())
}
