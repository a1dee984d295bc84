/** @file The report of `data convert`, as text and as JSON. */
import { showPlace } from '../base/errors.ts'
import { isMemberExport } from '../interop/export-rows.ts'
import type { ConvertSettings } from '../recipe/command-settings.ts'
import type { Conversion } from '../recipe/convert.ts'
import { showCount } from './format.ts'
import { tallyLines } from './inspection.ts'
import { printableText } from './width.ts'

export function conversionLines(conversion: Conversion, { dataset_path, output_path, to }: ConvertSettings): string[] {
  const { format, counts, rows, dropped, note } = conversion
  const { read, used, bad, dropped: rowsDropped } = counts.rows
  return [
    `${printableText(dataset_path)}: ${format}`,
    `rows         ${showCount(read)} read, ${showCount(used)} used, ${showCount(bad)} bad`,
    ...counts.badRows.map(({ place, reason }) => `  bad      ${showPlace(place)}: ${reason}`),
    ...tallyLines(rowsDropped, 'rows'),
    ...tallyLines(counts.members.dropped, 'completions'),
    `${isMemberExport(to) ? 'completions' : 'pairs      '}  ${showCount(rows)} written as rows of ${to}: ${printableText(output_path)}`,
    ...tallyLines(dropped, 'pairs'),
    `end of text  ${printableText(note)}`,
  ]
}

export function conversionJson({ format, counts, rows, dropped, note }: Conversion): string {
  const { read, used, bad } = counts.rows
  const reasons = Object.fromEntries([...dropped].map(([reason, { count }]) => [reason, count]))
  return JSON.stringify({ format, read, used, bad, rows, dropped: reasons, note })
}
