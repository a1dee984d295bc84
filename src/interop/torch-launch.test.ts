import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { InputError, UserError } from '../base/errors.ts'
import {
  checkPython,
  type Launch,
  launchArguments,
  otherMachines,
  runTorchJob,
  type TorchEvent,
} from './torch-launch.ts'

const folder = mkdtempSync(join(tmpdir(), 'stepdpo-launch-'))
afterAll(() => rmSync(folder, { recursive: true }))

const one: Launch = {
  launcher: 'python',
  python: 'python3',
  processes: 1,
  nodes: 1,
  endpoint: undefined,
  accelerateConfig: undefined,
}

test.each<[string, Partial<Launch>]>([
  ['-m stepdpo_torch JOB', {}],
  [
    '-m torch.distributed.run --nproc_per_node=4 --standalone -m stepdpo_torch JOB',
    { launcher: 'torchrun', processes: 4 },
  ],
  [
    '-m torch.distributed.run --nproc_per_node=8 --nnodes=2 --rdzv_backend=c10d --rdzv_endpoint=a:29500 -m stepdpo_torch JOB',
    { launcher: 'torchrun', processes: 8, nodes: 2, endpoint: 'a:29500' },
  ],
  [
    '-m accelerate.commands.launch --config_file=fsdp.yaml -m stepdpo_torch JOB',
    { launcher: 'accelerate', accelerateConfig: 'fsdp.yaml' },
  ],
  [
    '-m accelerate.commands.launch --config_file=fsdp.yaml --num_processes=8 -m stepdpo_torch JOB',
    { launcher: 'accelerate', accelerateConfig: 'fsdp.yaml', processes: 8 },
  ],
  ['-m stepdpo_torch.on_ray JOB 16', { launcher: 'ray', processes: 16 }],
])('the command line is %s', (line, launch) => {
  expect(launchArguments({ ...one, ...launch }, 'JOB').join(' ')).toBe(line)
})

test('the other machines of a job are told the same command, quoted for a shell', () => {
  const several: Launch = { ...one, launcher: 'torchrun', nodes: 3, endpoint: 'a:1', python: "/it's/python" }
  expect(otherMachines(several, 'JOB')).toMatch(
    /^the run begins when each of the other 2 machines runs: PYTHONPATH='.*python' '\/it'\\''s\/python' '-m'/,
  )
  expect(otherMachines(one, 'JOB')).toBeUndefined()
})

test('an interpreter that is not there is named, with what to install', async () => {
  const check = checkPython({ ...one, python: join(folder, 'none') }, { PATH: process.env['PATH'] })
  await expect(check).rejects.toThrow(UserError)
  await expect(check).rejects.toThrow(/none does not run: .*pip install '.*python', or name another interpreter/)
})

/** A job of which the interpreter is a shell script: what it tells is read while it runs. */
async function runScript(name: string, script: string, signal = new AbortController().signal): Promise<TorchEvent[]> {
  const path = (file: string): string => join(folder, `${name}-${file}`)
  writeFileSync(
    path('run'),
    `#!/bin/sh\nevents='${path('events')}'\nstop='${path('stop')}'\ntaken='${path('taken')}'\n${script}\n`,
    {
      mode: 0o755,
    },
  )
  writeFileSync(path('events'), '')
  const job = {
    path: folder,
    events: path('events'),
    stop: path('stop'),
    taken: path('taken'),
    saved: path('saved'),
    trained: path('trained'),
  }
  const events: TorchEvent[] = []
  const place = { environment: { PATH: process.env['PATH'] }, signal, log: path('log') }
  for await (const event of runTorchJob({ ...one, python: path('run') }, job, place)) events.push(event)
  return events
}

test('events come in order, also one that is written in two halves', async () => {
  const events = await runScript(
    'halves',
    `printf '{"type":"checkpoint-written","upd' >> "$events"; sleep 0.15; printf 'ate":3}\\n{"type":"trained"}\\n' >> "$events"`,
  )
  expect(events).toEqual([{ type: 'checkpoint-written', update: 3 }, { type: 'trained' }])
})

test('who has written a checkpoint goes on when it was taken over', async () => {
  const events = await runScript(
    'taken',
    `for update in 4 8; do
      printf '{"type":"checkpoint-written","update":%s}\\n' $update >> "$events"
      while [ ! -e "$taken-$update" ]; do sleep 0.02; done
    done`,
  )
  expect(events.map((event) => 'update' in event && event.update)).toEqual([4, 8])
})

test('a line that is no event of ours is refused with its place', async () => {
  const told = runScript('strange', `echo '{"type":"trained"}' >> "$events"; echo '{"type":"rm"}' >> "$events"`)
  await expect(told).rejects.toThrow(InputError)
  await expect(told).rejects.toThrow(/strange-events:2/)
})

test('processes that fail end the run with the error that they printed', async () => {
  const told = runScript(
    'failing',
    `echo 'Traceback:'; echo 'torch.cuda.OutOfMemoryError: no memory'; echo 'bye';
    echo 'torch.distributed.elastic.multiprocessing.errors.ChildFailedError: '; exit 3`,
  )
  await expect(told).rejects.toThrow(/ended with 3: torch.cuda.OutOfMemoryError: no memory; see /)
})

test('who asks to stop is heard by the processes through a file', async () => {
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 50)
  const events = await runScript(
    'stopped',
    `while [ ! -e "$stop" ]; do sleep 0.02; done; echo '{"type":"checkpoint-written","update":1}' >> "$events"`,
    controller.signal,
  )
  expect(events).toEqual([{ type: 'checkpoint-written', update: 1 }])
})
