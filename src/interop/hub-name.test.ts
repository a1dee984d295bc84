import { join, relative, resolve } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hubTitle, isPlaceable, isRepoPath, parseHubName } from './hub-name.ts'

test('a name of the Hub is taken apart into repository, revision and file', () => {
  expect(parseHubName('Qwen/Qwen3-0.6B', 'model')).toEqual({ type: 'model', id: 'Qwen/Qwen3-0.6B', revision: 'main' })
  expect(parseHubName('org/name@v1.0/sub/m-Q4_K_M.gguf', 'model')).toEqual({
    type: 'model',
    id: 'org/name',
    revision: 'v1.0',
    file: 'sub/m-Q4_K_M.gguf',
  })
  expect(parseHubName('org/name@refs/pr/3', 'dataset')?.revision).toBe('refs/pr/3')
  // as HfFileSystem.resolve_path of huggingface_hub reads hf:// paths
  expect(parseHubName('hf://org/name@feat%2Fx/a.json', 'model')).toMatchObject({ revision: 'feat/x', file: 'a.json' })
  expect(parseHubName('org/name@feat%2fx', 'model')).toEqual({ type: 'model', id: 'org/name', revision: 'feat/x' })
  expect(parseHubName('hf://datasets/org/name/a.jsonl', 'model')).toMatchObject({ type: 'dataset', file: 'a.jsonl' })
  expect(parseHubName('hf://org/name', 'dataset')?.type).toBe('model')
})

test.each([
  'name',
  './org/name',
  '../org/name',
  '/org/name',
  'org/name/',
  'data/steps.jsonl',
  'org/na--me',
  'org/name..x',
  'org/name.git',
  'org/name@../../x',
  'org/name@..%2Fx',
  'org/name@%2Fetc',
  'org/name@a/../b',
  'org/name/../../x.json',
  'org/name//etc/passwd',
  'org/name/a\\b',
  'org/name/a\0b',
  'C:\\org\\name',
  'https://huggingface.co/org/name',
])('%j is no name of the Hub', (text) => {
  expect(parseHubName(text, 'model')).toBeUndefined()
})

test('after hf:// what is no name is refused', () => {
  expect(() => parseHubName('hf://datasets/../x', 'dataset')).toThrow('expected hf://org/name')
})

test('no path that a repository may have leads out of a folder', () => {
  const part = fc.constantFrom('..', '.', '', 'a', '~', '\\', '/', 'C:', '\0', 'b.json', '...', '\u2025', '%2e%2e')
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
      const path = parts.join('/')
      if (!isRepoPath(path)) return
      expect(relative(resolve('folder'), resolve('folder', path))).toBe(join(path))
      expect(join(path)).not.toMatch(/^\.\.?(\/|$)/)
    }),
  )
})

test('a colon is no matter but where the system has another use for it', () => {
  expect(isRepoPath('results_2023-07-19T16:13:42.json')).toBe(true)
  expect(isPlaceable('a:b.json', 'win32')).toBe(false)
  expect(isPlaceable('a:b.json', 'linux')).toBe(true)
  expect(isPlaceable('a-b.json', 'win32')).toBe(true)
})

test('a path in the cache has the name that it has on the Hub, and others their own', () => {
  const commit = 'a'.repeat(40)
  expect(hubTitle(`/x/hub/models--Qwen--Qwen3-0.6B/snapshots/${commit}`)).toBe('Qwen/Qwen3-0.6B')
  expect(hubTitle(`/x/hub/datasets--org--name/snapshots/${commit}/sub/a.jsonl`)).toBe('org/name/sub/a.jsonl')
  expect(hubTitle('/models/Qwen3-0.6B')).toBeUndefined()
})
