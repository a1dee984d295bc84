/** @file What the `stepdpo` command runs, into dist/command, with the licences of the packages that went in. Part of the build. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { bundle } from './bundle.ts'

const FOLDER = 'dist/command'

const { metafile } = bundle({ programs: { main: 'src/cli/main.ts' }, folder: FOLDER, shared: '.' })

const packages = new Set(
  Object.keys(metafile.inputs).flatMap((path) => path.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? []),
)
const licences = [...packages].sort().map((folder) => {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))
  if (file === undefined) throw new Error(`${folder} has no licence to hand on`)
  return `${folder.slice('node_modules/'.length)}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`
})
writeFileSync(`${FOLDER}/LICENCES.txt`, licences.join(`\n${'-'.repeat(78)}\n\n`))
