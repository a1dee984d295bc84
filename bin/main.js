/** @file The program as it was built; in a clone that is a step of its own, which is easily forgotten. */
import { existsSync } from 'node:fs'

const built = new URL('../dist/command/main.js', import.meta.url)
if (!existsSync(built)) {
  process.stderr.write('stepdpo: not built yet: npm run build\n')
  process.exit(1)
}

/** @type {{ main: (args: readonly string[]) => Promise<void> }} */
export const { main } = await import(built.href)
