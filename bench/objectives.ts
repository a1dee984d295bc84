/**
 * @file What of two solutions to compare, over seeds: Step-DPO, DPO, SCDPO and Full-Step-DPO from the same rollouts at
 * equal updates, all weights. npm run bench:objectives [-- --seeds 5 --problems 600 --test 500]
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeDurably } from '../src/base/files.ts'
import { type Outcome, prepareSeed, printTable, runVariants, updatesOf } from './loop-parts.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    first: { type: 'string', default: '0' },
    problems: { type: 'string', default: '600' },
    test: { type: 'string', default: '500' },
  },
})

async function runSeed(seed: number): Promise<Outcome[]> {
  const counts = { problems: Number(values.problems), test: Number(values.test) }
  const own = await prepareSeed(join('build/bench-objectives', String(seed)), seed, counts)
  const steps = await own.pairsOf('step-pairs')
  const solutions = await own.pairsOf('solution-pairs', '--strategy=dpo')
  const cuts = await own.pairsOf('cut-pairs', '--strategy=scdpo')
  // SCDPO's loss is that of naive pairs and of cut ones together (Lu et al. 2024).
  const both = join(own.root, 'solutions-and-cuts.jsonl')
  writeDurably(both, readFileSync(solutions, 'utf8') + readFileSync(cuts, 'utf8'))
  const variants = [
    { name: 'Step-DPO', pairs: steps, flags: [] },
    { name: 'DPO, the same pairs to their end', pairs: steps, flags: ['--objective=dpo'] },
    { name: 'DPO, right against wrong solutions', pairs: solutions, flags: ['--objective=dpo'] },
    { name: 'SCDPO', pairs: both, flags: ['--objective=scdpo'] },
    { name: 'Full-Step-DPO', pairs: solutions, flags: ['--objective=full_step_dpo'] },
    {
      name: 'Full-Step-DPO, temperature 3',
      pairs: solutions,
      flags: ['--objective=full_step_dpo', '--step_temperature=3'],
    },
  ]
  return await runVariants(own, variants, updatesOf(own.settingsOf(), steps))
}

const all: Outcome[] = []
const first = Number(values.first)
for (let seed = first; seed < first + Number(values.seeds); seed++) all.push(...(await runSeed(seed)))
printTable(all)
