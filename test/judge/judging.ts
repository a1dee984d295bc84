/** @file A process that judges a file, to be killed: says `begun` when it asks, `ended` when all is judged. */
import { judgeFile } from '../../src/recipe/judge.ts'
import { judgeSchema } from '../../src/recipe/judge-settings.ts'
import { systemWorld } from '../../src/recipe/world.ts'

const settings = judgeSchema.parse(JSON.parse(process.argv[2]))
for await (const event of judgeFile(settings, systemWorld())) {
  if (event.type === 'judging-begin') process.stdout.write('begun\n')
  if (event.type === 'judging-end') process.stdout.write('ended\n')
}
