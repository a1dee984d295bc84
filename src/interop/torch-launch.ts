/** @file Starts the Python side of a job, follows what it tells, and ends it. */
import { execFile, spawn } from 'node:child_process'
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'
import { codeOf, InputError, messageOf, UserError } from '../base/errors.ts'
import { parseJson } from '../base/lines.ts'
import type { JobFolder } from './torch-job.ts'

export const launchers = ['python', 'torchrun', 'accelerate', 'ray'] as const
export type Launcher = (typeof launchers)[number]

export interface Launch {
  readonly launcher: Launcher
  readonly python: string
  /** On each machine; with ray, of the cluster. */
  readonly processes: number
  readonly nodes: number
  readonly endpoint: string | undefined
  readonly accelerateConfig: string | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/** The Python package, which stands beside `src` and beside what is built of it. */
const PACKAGE = fileURLToPath(new URL('../../python', import.meta.url))
const POLL_MS = 100

const commands: { readonly [L in Launcher]: (launch: Launch, folder: string) => string[] } = {
  python: (_, folder) => ['-m', 'stepdpo_torch', folder],
  torchrun: ({ processes, nodes, endpoint }, folder) => [
    ...['-m', 'torch.distributed.run', `--nproc_per_node=${processes}`],
    ...(endpoint === undefined
      ? ['--standalone']
      : [`--nnodes=${nodes}`, '--rdzv_backend=c10d', `--rdzv_endpoint=${endpoint}`]),
    ...['-m', 'stepdpo_torch', folder],
  ],
  accelerate: ({ processes, accelerateConfig }, folder) => [
    ...['-m', 'accelerate.commands.launch'],
    ...(accelerateConfig === undefined
      ? ['--num_machines=1', '--mixed_precision=no', '--dynamo_backend=no']
      : [`--config_file=${accelerateConfig}`]),
    // A file says itself how processes work together: --multi_gpu would outweigh its FSDP.
    ...(processes > 1 && accelerateConfig === undefined ? ['--multi_gpu'] : []),
    ...(processes > 1 ? [`--num_processes=${processes}`] : []),
    ...['-m', 'stepdpo_torch', folder],
  ],
  ray: ({ processes }, folder) => ['-m', 'stepdpo_torch.on_ray', folder, String(processes)],
}

/** The command line that trains a job, without the interpreter. */
export function launchArguments(launch: Launch, folder: string): string[] {
  return commands[launch.launcher](launch, folder)
}

/** What is to be run on the other machines of a job, if it has some. */
export function otherMachines(launch: Launch, folder: string): string | undefined {
  if (launch.nodes === 1) return undefined
  const command = [launch.python, ...launchArguments(launch, folder)].map(
    (word) => `'${word.replaceAll("'", "'\\''")}'`,
  )
  const others = launch.nodes === 2 ? 'the other machine' : `each of the other ${launch.nodes - 1} machines`
  return `the run begins when ${others} runs: PYTHONPATH='${PACKAGE}' ${command.join(' ')}`
}

function withPackage(environment: Environment): Record<string, string | undefined> {
  const path = environment['PYTHONPATH']
  const both = path === undefined || path === '' ? PACKAGE : `${PACKAGE}:${path}`
  // Safe: without the working folder, where a file may have the name of a package.
  return {
    ...environment,
    PYTHONPATH: both,
    PYTHONUNBUFFERED: '1',
    PYTHONSAFEPATH: '1',
    TOKENIZERS_PARALLELISM: 'false',
  }
}

const checkFields = z.object({
  python: z.string(),
  versions: z.record(z.string(), z.string().nullable()),
  problems: z.array(z.string()),
})

/**
 * The versions of what the Python side needs.
 * @throws UserError where there is no such interpreter, or something is missing, with the command that installs it.
 */
export async function checkPython(
  { python, launcher }: Launch,
  environment: Environment,
): Promise<ReadonlyMap<string, string>> {
  const advice =
    `install what it needs by: ${python} -m pip install '${PACKAGE}${launcher === 'ray' ? '[ray]' : ''}', ` +
    'or name another interpreter by --torch_python or STEPDPO_PYTHON'
  const asked = promisify(execFile)(python, ['-m', 'stepdpo_torch.check'], {
    env: withPackage(environment),
    timeout: 60_000,
  })
  const { stdout } = await asked.catch((error: unknown) => {
    throw new UserError(`--engine torch: ${python} does not run: ${messageOf(error)}; ${advice}`, { cause: error })
  })
  const parsed = parseJson(Buffer.from(stdout))
  const found = checkFields.safeParse('value' in parsed ? parsed.value : undefined)
  if (!found.success) throw new UserError(`--engine torch: ${python} is not a Python that can be used; ${advice}`)
  const { versions, problems } = found.data
  const lacking = launcher === 'ray' && (versions['ray'] ?? null) === null ? ['ray is not installed'] : []
  const all = [...problems, ...lacking]
  if (all.length > 0) throw new UserError(`--engine torch: ${python}: ${all.join(', ')}; ${advice}`)
  return new Map(Object.entries(versions).flatMap(([name, version]) => (version === null ? [] : [[name, version]])))
}

const metrics = z.record(z.string(), z.number())
const update = z.number().int().nonnegative()

const eventFields = z.discriminatedUnion('type', [
  /** What the processes wait for before they begin. */
  z.object({ type: z.literal('waiting'), message: z.string() }),
  z.object({ type: z.literal('model-loaded'), parameters: z.number(), trainable: z.number(), seconds: z.number() }),
  z.object({
    type: z.literal('update-end'),
    update,
    metrics,
    tokens: z.number(),
    seconds: z.number(),
    residentBytes: z.number(),
  }),
  z.object({
    type: z.literal('evaluation-end'),
    update,
    metrics,
    /** Means over the pairs of each held-out problem. */
    problems: z.array(z.object({ problem: z.string(), pairs: z.number(), metrics })),
    seconds: z.number(),
  }),
  /** Nothing follows. */
  z.object({ type: z.literal('not-finite'), update, metric: z.string() }),
  z.object({ type: z.literal('checkpoint-written'), update }),
  z.object({ type: z.literal('trained') }),
])

/** What the Python side tells. */
export type TorchEvent = z.infer<typeof eventFields>

/** Lines of a file that grows: each call gives those that were completed since the last one. */
function openTail(path: string) {
  const fd = openSync(path, 'r')
  const chunk = Buffer.alloc(1 << 16)
  let rest = Buffer.alloc(0)
  let line = 0
  const parse = (text: Buffer): TorchEvent => {
    line++
    const parsed = parseJson(text)
    const event = eventFields.safeParse('value' in parsed ? parsed.value : undefined)
    if (event.success) return event.data
    throw new InputError({ file: path, line }, 'an event of the torch engine', z.prettifyError(event.error))
  }
  return {
    *read(): Generator<TorchEvent> {
      for (let count = readSync(fd, chunk); count > 0; count = readSync(fd, chunk)) {
        rest = Buffer.concat([rest, chunk.subarray(0, count)])
        for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
          const text = rest.subarray(0, end)
          rest = rest.subarray(end + 1)
          yield parse(text)
        }
      }
    },
    close: () => closeSync(fd),
  }
}

/** Ends all processes of a job, whatever is left of them. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error
  }
}

/** Of what was added to a file behind a place, the last error of a process, or the last line. */
function tailOf(path: string, start: number): string {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(1 << 16)
    const count = readSync(fd, bytes, 0, bytes.length, Math.max(start, fstatSync(fd).size - bytes.length))
    const said = bytes
      .toString('utf8', 0, count)
      .split('\n')
      .filter((line) => line.trim() !== '')
    const errors = said.filter((line) => /^(?:\[rank\d+\]: )?\w[\w.]*(?:Error|Exception)\b/.test(line))
    // What launchers say last is that a process of theirs failed.
    const error = errors.findLast((line) => !line.includes('ChildFailedError')) ?? errors.at(-1)
    return error ?? said.at(-1) ?? 'it said nothing'
  } finally {
    closeSync(fd)
  }
}

export interface Place {
  readonly environment: Environment
  /** Asks to save and stop. */
  readonly signal: AbortSignal
  /** Where what the processes print is added. */
  readonly log: string
}

/**
 * Runs a job to its end, and yields what it tells. Where the signal asks to stop, Python is told so and saves.
 * @throws UserError where the processes fail, with what they said last.
 */
export async function* runTorchJob(launch: Launch, folder: JobFolder, place: Place): AsyncGenerator<TorchEvent> {
  const log = openSync(place.log, 'a')
  const start = fstatSync(log).size
  const child = spawn(launch.python, launchArguments(launch, folder.path), {
    env: withPackage(place.environment),
    stdio: ['ignore', log, log],
    // A group of its own: Ctrl-C in a terminal reaches us alone, and we tell.
    detached: true,
  })
  closeSync(log)
  let code: number | string | undefined
  let hasStopped = false
  child.on('error', (error) => {
    code = error.message
  })
  child.on('exit', (status, signal) => {
    code = status ?? signal ?? 'unknown'
  })
  const kill = (): void => killGroup(child.pid)
  const stop = (): void => writeFileSync(folder.stop, '')
  process.once('exit', kill)
  place.signal.addEventListener('abort', stop, { once: true })
  if (place.signal.aborted) stop()
  const tail = openTail(folder.events)
  function* read(): Generator<TorchEvent> {
    for (const event of tail.read()) {
      yield event
      // Who asks for the next event has taken this one over. Until then Python waits: it writes no other checkpoint
      // beside one that is being sealed while older and later ones are removed.
      if (event.type !== 'checkpoint-written') continue
      writeFileSync(`${folder.taken}-${event.update}`, '')
      hasStopped = place.signal.aborted
    }
  }
  try {
    while (code === undefined) {
      yield* read()
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
    yield* read()
  } finally {
    tail.close()
    process.off('exit', kill)
    place.signal.removeEventListener('abort', stop)
    kill()
  }
  // A launcher that was told to stop, too, ends with an error even where its processes have saved.
  if (code !== 0 && !hasStopped)
    throw new UserError(`the torch engine ended with ${code}: ${tailOf(place.log, start)}; see ${place.log}`)
}
