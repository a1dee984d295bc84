/**
 * @file A training run that a test kills: `SITE NAME RESUMES DEATH`. DEATH is `save,N,CALL`: the process kills itself at
 * that file call (from 1) after the temporary folder of the Nth checkpoint it writes appeared; or `none`. Says
 * `begun` when it has loaded its code.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import type { Site } from '../run.ts'
import { stormSettings } from './settings.ts'

const [folder, name, resumes, death] = process.argv.slice(2)
const [kind, checkpoint, call] = death.split(',')

/** What changes files, as durable writing does. */
const CALLS = ['openSync', 'writeSync', 'fsyncSync', 'closeSync', 'renameSync', 'mkdirSync', 'rmSync'] as const

/** Replaces the functions of node:fs by ones that count, and die when it is time. */
function dieWhileSaving(whichCheckpoint: number, whichCall: number): void {
  let checkpoints = 0
  let calls = 0
  for (const name of CALLS) {
    const original: unknown = Reflect.get(fs, name)
    if (typeof original !== 'function') continue
    Reflect.set(fs, name, (...given: unknown[]) => {
      if (checkpoints >= whichCheckpoint) {
        calls++
        if (calls >= whichCall) process.kill(process.pid, 'SIGKILL')
      }
      if (name === 'mkdirSync' && String(given[0]).includes('.tmp-checkpoint-')) checkpoints++
      return Reflect.apply(original, fs, given)
    })
  }
  syncBuiltinESMExports()
}

const { runToEnd, settingsFor, testWorld } = await import('../run.ts')
if (kind === 'save') dieWhileSaving(Number(checkpoint), Number(call))
const site: Site = { folder, model: join(folder, 'model'), data: join(folder, 'steps.jsonl') }
process.stdout.write('begun\n')
await runToEnd(
  settingsFor(site, name, { ...stormSettings, resume_from_checkpoint: resumes === 'true' }),
  // A cache of its own, so that the reference is computed again, too.
  { ...testWorld(site), environment: { STEPDPO_CACHE: join(folder, `cache-${name}`) } },
)
