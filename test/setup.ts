/** @file A folder of this run of tests, removed at its end: for what several files of tests use. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    readonly folder: string
  }
}

export default function setup(project: TestProject): () => void {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'stepdpo-tests-')))
  project.provide('folder', folder)
  return () => rmSync(folder, { recursive: true })
}
