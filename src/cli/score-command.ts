/** @file `stepdpo score`: log-probabilities of completions, a JSON line for each row. */
import { closeSync, openSync, writeSync } from 'node:fs'
import type { Command } from 'commander'
import { scoreSchema } from '../recipe/command-settings.ts'
import type { ScoredRow } from '../recipe/score.ts'
import { addFlags } from './flags.ts'
import { parseSettings } from './parse-settings.ts'
import { readConfig } from './read-config.ts'

function showRow(row: ScoredRow): string {
  if ('problem' in row) return JSON.stringify({ line: row.line, error: row.problem })
  const [first, second] = row.scores
  return JSON.stringify({ line: row.line, ...(second === undefined ? first : { chosen: first, rejected: second }) })
}

export function addScoreCommand(program: Command): void {
  const command = program
    .command('score')
    .description('write the log-probabilities of the tokens of completions, a JSON line for each row')
  addFlags(command, scoreSchema).action(async () => {
    const settings = parseSettings(scoreSchema, command.args, readConfig(command.opts()['config']))
    const { score } = await import('../recipe/score.ts')
    const { output_path: path } = settings
    const fd = path === undefined ? undefined : openSync(path, 'w')
    let bad = 0
    try {
      for await (const row of score(settings)) {
        if (fd === undefined) process.stdout.write(`${showRow(row)}\n`)
        else writeSync(fd, `${showRow(row)}\n`)
        if ('problem' in row) bad++
      }
    } finally {
      if (fd !== undefined) closeSync(fd)
    }
    if (bad > 0) process.stderr.write(`${bad} rows could not be scored; each says why\n`)
  })
}
