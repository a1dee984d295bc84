import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type BlockTypeName, blockTypes } from './blocks.ts'
import { tensorValues } from './gguf.ts'

interface BlockCase {
  readonly type: BlockTypeName
  readonly how: string
  readonly blocks: string
  readonly values: string
}
const path = join(import.meta.dirname, '../../test/fixtures/gguf/blocks.json')
const { cases }: { cases: readonly BlockCase[] } = JSON.parse(readFileSync(path, 'utf8'))

/** A buffer of its own, as tensors are read into. */
function fromBase64(text: string): ArrayBuffer {
  return new Uint8Array(Buffer.from(text, 'base64')).buffer
}

test.each(cases)('$how blocks of $type have the values that gguf-py gives them, bit for bit', (given) => {
  const values = tensorValues(given.type, fromBase64(given.blocks))
  expect(new Uint32Array(values.buffer)).toEqual(new Uint32Array(fromBase64(given.values)))
})

test('every block type has a case', () => {
  expect(new Set(cases.map(({ type }) => type))).toEqual(new Set(Object.keys(blockTypes)))
})
