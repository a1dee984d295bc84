/** @file `stepdpo score`: log-probabilities of completions, a JSON line for each row. */
import { closeSync, openSync, writeSync } from 'node:fs'
import type { Command } from 'commander'
import { type ScoreSettings, scoreSchema } from '../recipe/command-settings.ts'
import type { RewardedRow } from '../recipe/implicit.ts'
import type { ScoredRow } from '../recipe/score.ts'
import { addFlags } from './flags.ts'
import { fetchNames } from './hub-view.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'

function showRow(row: ScoredRow | RewardedRow): string {
  if ('problem' in row) return JSON.stringify({ line: row.line, error: row.problem })
  if ('steps' in row) return JSON.stringify(row)
  const [first, second] = row.scores
  return JSON.stringify({ line: row.line, ...(second === undefined ? first : { chosen: first, rejected: second }) })
}

/** Loaded here, so that --help does not wait for the engine. */
async function scoresOf(settings: ScoreSettings): Promise<AsyncIterable<ScoredRow | RewardedRow>> {
  if (!settings.implicit) return (await import('../recipe/score.ts')).score(settings)
  return (await import('../recipe/implicit.ts')).scoreImplicitly(settings)
}

interface Output {
  write(text: string): void
  close(): void
}

/** A file, or standard output. The file is opened when there is something to write: no mistake before empties it. */
function openOutput(path: string | undefined): Output {
  if (path === undefined) return { write: (text) => process.stdout.write(text), close: () => {} }
  let fd: number | undefined
  return {
    write: (text) => {
      fd ??= openSync(path, 'w')
      writeSync(fd, text)
    },
    close: () => {
      if (fd !== undefined) closeSync(fd)
    },
  }
}

export function addScoreCommand(program: Command): void {
  const command = program
    .command('score')
    .description(
      'write the log-probabilities of the tokens of completions, or rewards of steps, a JSON line for each row',
    )
  addFlags(command, scoreSchema).action(async () => {
    const settings = await fetchNames(parseSettings(scoreSchema, command.args, readConfig(command.opts()['config'])))
    const rows = await scoresOf(settings)
    const output = openOutput(settings.output_path)
    let count = 0
    let bad = 0
    try {
      for await (const row of rows) {
        output.write(`${showRow(row)}\n`)
        count++
        if ('problem' in row) bad++
      }
    } finally {
      output.close()
    }
    if (bad > 0) process.stderr.write(`${bad} of ${count} rows could not be scored; the line of each says why\n`)
  })
}
