/** @file The grid of a sweep in a YAML file: `sweep: {beta: [0.1, 0.4]}`, which no flat setting can say. */
import { isMap, isScalar, isSeq, parseDocument } from 'yaml'
import { UsageError } from '../base/errors.ts'
import type { YamlFile } from './settings-yaml.ts'

/** What is longer is refused where the file is read as settings. */
const MAX_CHARACTERS = 1 << 16

/**
 * The file with the map below `sweep` as the list of texts that `--sweep` takes. All else stays where it is, line for line;
 * what is no YAML is left for the reader of settings to refuse.
 * @throws UsageError where a setting of the map has neither a value nor a list of values.
 */
export function flattenSweep(file: YamlFile): YamlFile {
  if (file.text.length > MAX_CHARACTERS) return file
  const { contents, errors } = parseDocument(file.text, { prettyErrors: false })
  if (errors.length > 0) return file
  const pair = isMap(contents) ? contents.items.find(({ key }) => isScalar(key) && key.value === 'sweep') : undefined
  if (!isMap(pair?.value) || !pair.value.range) return file
  const items = pair.value.items.map(({ key, value }) => {
    const values = isSeq(value) ? value.items.map(textOf) : [textOf(value)]
    const name = textOf(key)
    if (name === undefined || values.includes(undefined)) {
      throw new UsageError(`${file.path}: sweep: expected a setting with a list of values, found ${String(key)}`)
    }
    return `${name}=${values.join()}`
  })
  const [start, end] = pair.value.range
  const lines = file.text.slice(start, end).split('\n').length - 1
  const list = JSON.stringify(items) + '\n'.repeat(lines)
  return { path: file.path, text: file.text.slice(0, start) + list + file.text.slice(end) }
}

/** A value as it was written; the items of a list are joined by +. */
function textOf(node: unknown): string | undefined {
  if (isScalar(node)) return node.value === null ? undefined : (node.source ?? String(node.value))
  if (!isSeq(node)) return undefined
  const texts = node.items.map(textOf)
  return texts.includes(undefined) ? undefined : texts.join('+')
}
