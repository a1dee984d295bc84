/**
 * @file A local model as judge against the engine's own forward pass: npm run bench:local-judge.
 *
 * ROWS (24) solutions of ProcessBench gsm8k, judged as trees by SmolLM2-135M, against plain sequences of as many tokens,
 * scored at as many positions, in turns.
 */
import { join } from 'node:path'
import { readJudgeRows } from '../src/data/judge-rows.ts'
import { ortBackend } from '../src/engine/session.ts'
import { judgedTree, localJudge } from '../src/judge/local.ts'
import { unaskedSteps } from '../src/judge/unasked.ts'
import { loadModel } from '../src/model/load.ts'
import { makeMachine } from '../src/model/machine.ts'
import { scoreRow, weightLayers } from '../src/model/pass.ts'
import { sequenceRow } from '../src/model/row.ts'
import { loadTokenizer } from '../src/text/tokenizer.ts'
import { median, setting, showSpread } from './measure.ts'
import { MODEL, ROOT } from './peer.ts'

const ROWS = setting('ROWS', 24)
const { config, weights } = loadModel(MODEL)
const machine = makeMachine(ortBackend({ threads: setting('THREADS', 2) }), config, weights)
const model = { machine, layers: weightLayers(machine), tokenizer: loadTokenizer(MODEL) }
const judge = localJudge('local', model)
const never = new AbortController().signal

const solutions = []
for await (const read of readJudgeRows(join(ROOT, '..', 'shared', 'data', 'processbench', 'gsm8k.json'), 'auto')) {
  if (solutions.length === ROWS) break
  if ('row' in read) solutions.push(read.row.solution)
}
const ratios: number[] = []
let tokens = 0
let seconds = 0
for (const [at, solution] of solutions.entries()) {
  const row = judgedTree(
    solution,
    unaskedSteps(solution.steps).map((why) => why === undefined),
    model,
  )
  const plain = sequenceRow(row.ids, row.ids.length - row.scored.length)
  const time = async (work: () => Promise<unknown>): Promise<number> => {
    const started = performance.now()
    await work()
    return (performance.now() - started) / 1000
  }
  const ours = await time(() => judge.judge(solution, never))
  const forward = await time(() => scoreRow(machine, plain, model.layers))
  if (at === 0) continue // compiles
  ratios.push(forward / ours)
  tokens += row.ids.length
  seconds += ours
}
console.log(`${ratios.length} solutions, ${tokens} tokens: ${(tokens / seconds).toFixed(0)} tok/s judged`)
console.log(`of the engine's forward rate: ${showSpread(ratios, 2)} (median ${median(ratios).toFixed(2)}); goal ≥ 0.8`)
await machine.dispose()
