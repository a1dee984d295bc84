/**
 * What the dashboard takes with 100,000 traces, and what 200 listeners that never read cost a training beside it.
 *
 *   tsx bench/view.ts            the API over a folder of 100,000 judged traces
 *   tsx bench/view.ts listeners  the time of an update with and without them
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { trainSchema } from '../src/recipe/config.ts'
import { train } from '../src/recipe/train.ts'
import { makeSite, settingsFor, testWorld } from '../test/run.ts'
import { type Server, startServer, TRACES, timed, writeTraces } from './view-site.ts'

const LISTENERS = 200

async function measureApi(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'stepdpo-bench-view-'))
  const run = join(folder, 'runs', 'large')
  mkdirSync(run, { recursive: true })
  writeTraces(run)
  const server = await startServer(join(folder, 'runs'))
  try {
    const { runs } = JSON.parse(JSON.stringify((await timed(server, '/api/runs')).reply))
    const base = `/api/runs/${runs[0].id}`
    const first = await timed(server, `${base}/traces?limit=100`)
    console.log(
      `first view            ${first.ms.toFixed(0).padStart(6)} ms   ${first.reply['total']} traces read by then`,
    )
    const from = performance.now()
    while ((await timed(server, `${base}/traces?limit=1`)).reply['isWhole'] !== true)
      await new Promise((resolve) => setTimeout(resolve, 100))
    console.log(
      `all ${TRACES.toLocaleString('en-US')} read in ${((performance.now() - from + first.ms) / 1000).toFixed(1).padStart(6)} s`,
    )
    const questions = {
      'first view again': '?limit=100',
      verdict: '?verdict=i',
      'score range, sorted': '?min_score=0.1&max_score=0.4&sort=score&order=down',
      'wrong answers': '?answer=wrong&offset=50000',
      'text, found everywhere': '?q=litres',
      'text, found once': '?q=get%2099998.%0Astep%206',
      'text, found nowhere': '?q=no%20such%20text',
    }
    for (const [name, query] of Object.entries(questions)) {
      const times: number[] = []
      let found: unknown
      for (let at = 0; at < 7; at++) {
        const { ms, reply } = await timed(server, `${base}/traces${query}`)
        times.push(ms)
        found = reply['found']
      }
      times.sort((a, b) => a - b)
      console.log(
        `${name.padEnd(24)}${times[3].toFixed(0).padStart(4)} ms   worst ${times[6].toFixed(0).padStart(4)} ms   ${found} found`,
      )
    }
    const { items } = JSON.parse(JSON.stringify((await timed(server, `${base}/traces?offset=99000&limit=1`)).reply))
    console.log(
      `one trace             ${(await timed(server, `${base}/traces/${items[0].id}`)).ms.toFixed(0).padStart(6)} ms`,
    )
    console.log(
      `next to label         ${(await timed(server, `${base}/labels/next?order=uncertain`)).ms.toFixed(0).padStart(6)} ms`,
    )
    const memory = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.process.pid}/status`, 'utf8'))?.[1]
    console.log(`memory of the server  ${(Number(memory) / 1024).toFixed(0).padStart(6)} MB`)
  } finally {
    server.process.kill()
    rmSync(folder, { recursive: true })
  }
}

/** The median time of an update after the first ones. */
async function updateTime(site: ReturnType<typeof makeSite>, name: string): Promise<number> {
  const settings = trainSchema.parse({
    ...settingsFor(site, name, { num_train_epochs: 1, max_steps: 60, eval_strategy: 'no', save_strategy: 'no' }),
  })
  const times: number[] = []
  for await (const event of train(settings, testWorld(site))) if (event.type === 'update-end') times.push(event.seconds)
  return times.slice(10).sort((a, b) => a - b)[25]
}

/** Connections that ask for events and never read. */
function openListeners(server: Server, path: string): Socket[] {
  const { port, host } = new URL(server.origin)
  return Array.from({ length: LISTENERS }, () => {
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.pause()
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nCookie: ${server.cookie}\r\n\r\n`)
    })
    return socket.on('error', () => {})
  })
}

async function measureListeners(): Promise<void> {
  const site = makeSite()
  const runs = join(site.folder, 'runs')
  mkdirSync(join(runs, 'watched', 'stepdpo'), { recursive: true })
  const server = await startServer(runs)
  try {
    const { reply } = await timed(server, '/api/runs')
    const [run] = JSON.parse(JSON.stringify(reply)).runs
    await updateTime(site, 'runs/warm')
    const ratios: number[] = []
    for (let round = 0; round < 5; round++) {
      const alone = await updateTime(site, `runs/alone-${round}`)
      const sockets = openListeners(server, `/api/runs/${run.id}/events`)
      rmSync(join(runs, 'watched'), { recursive: true })
      const watched = await updateTime(site, 'runs/watched')
      for (const socket of sockets) socket.destroy()
      ratios.push(watched / alone)
      console.log(
        `update ${(alone * 1000).toFixed(1)} ms alone, ${(watched * 1000).toFixed(1)} ms with ${LISTENERS} listeners`,
      )
    }
    ratios.sort((a, b) => a - b)
    console.log(`ratio ${ratios[2].toFixed(3)} (${ratios[0].toFixed(3)} to ${ratios[4].toFixed(3)})`)
  } finally {
    server.process.kill()
    rmSync(site.folder, { recursive: true })
  }
}

await (process.argv[2] === 'listeners' ? measureListeners() : measureApi())
