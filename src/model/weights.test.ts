import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderMaker } from '../../test/folders.ts'
import { oraclePath } from '../../test/oracle.ts'
import { InputError } from '../base/errors.ts'
import { writeDurably } from '../base/files.ts'
import { loadModel } from './load.ts'
import { safetensorsParts } from './safetensors-write.ts'
import { EMBEDDING, HEAD, namedWeights, type WeightTensor } from './weights.ts'

const newFolder = folderMaker()

/** A copy of a model whose head is its embedding, with a tensor for the head beside it. */
function withHead(change: (values: Float32Array) => void): string {
  const folder = newFolder()
  const { weights } = loadModel(oraclePath('models/llama'))
  const tensors = namedWeights<WeightTensor>(weights)
  const { data, shape } = weights.embedding
  const head = Float32Array.from(data)
  change(head)
  tensors.set(HEAD, { data: head, shape })
  copyFileSync(oraclePath('models/llama/config.json'), join(folder, 'config.json'))
  writeDurably(join(folder, 'model.safetensors'), safetensorsParts(tensors))
  return folder
}

test('a head that is the embedding again is passed over, and one that is not is refused with what to write', () => {
  const { weights } = loadModel(withHead(() => {}))
  expect(weights.head[EMBEDDING] ?? weights.head[HEAD]).toBe(weights.embedding)
  const load = () => loadModel(withHead((values) => values.set([values[7] + 1], 7)))
  expect(load).toThrow(InputError)
  expect(load).toThrow('another head: write "tie_word_embeddings": false into config.json')
})
