/** @file Folders for the tests of one file, removed when they end. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** Call it once in a file; what it returns makes an empty folder each time. */
export function folderMaker(): () => string {
  const root = mkdtempSync(join(tmpdir(), 'stepdpo-'))
  afterAll(() => rmSync(root, { recursive: true }))
  return () => mkdtempSync(join(root, 'folder-'))
}
