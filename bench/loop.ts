/**
 * @file Whether the loop helps, over seeds: Step-DPO with all weights and with LoRA, naive DPO from the same rollouts at
 * equal updates, and a control whose pairs are shuffled. npm run bench:loop [-- --seeds 5 --problems 600 --test 500]
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { writeDurably } from '../src/base/files.ts'
import { permutation, random } from '../src/base/random.ts'
import { type Outcome, prepareSeed, printTable, readPairs, runVariants, updatesOf } from './loop-parts.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    first: { type: 'string', default: '0' },
    problems: { type: 'string', default: '600' },
    test: { type: 'string', default: '500' },
  },
})
const LORA = ['--use_lora=true', '--learning_rate=2e-4', '--lora_r=16', '--lora_alpha=32']

/** The sides of exactly half of the pairs are swapped, at random: nothing is left to learn from them. */
function shufflePairs(from: string, to: string, seed: number): void {
  const pairs = readPairs(from)
  const order = permutation(pairs.length, random(seed, 'shuffled control'))
  const rows = pairs.map((pair, at) => {
    if (order[at] < pairs.length / 2) return pair
    const { chosen, rejected, chosen_terminal, rejected_terminal } = pair
    const { chosen_solution: _, rejected_solution: __, ...rest } = pair
    const swapped = { chosen: rejected, rejected: chosen, chosen_terminal: rejected_terminal }
    return { ...rest, ...swapped, rejected_terminal: chosen_terminal }
  })
  writeDurably(to, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
}

async function runSeed(seed: number): Promise<Outcome[]> {
  const counts = { problems: Number(values.problems), test: Number(values.test) }
  const own = await prepareSeed(join('build/bench-loop', String(seed)), seed, counts)
  const steps = await own.pairsOf('step-pairs')
  const solutions = await own.pairsOf('solution-pairs', '--strategy=dpo')
  const shuffled = join(own.root, 'shuffled.jsonl')
  shufflePairs(steps, shuffled, seed)
  const variants = [
    { name: 'Step-DPO, all weights', pairs: steps, flags: [] },
    { name: 'Step-DPO, LoRA', pairs: steps, flags: LORA },
    { name: 'naive DPO, all weights', pairs: solutions, flags: [] },
    { name: 'shuffled control, all weights', pairs: shuffled, flags: [] },
  ]
  return await runVariants(own, variants, updatesOf(own.settingsOf(), steps))
}

const all: Outcome[] = []
const first = Number(values.first)
for (let seed = first; seed < first + Number(values.seeds); seed++) all.push(...(await runSeed(seed)))
printTable(all)
