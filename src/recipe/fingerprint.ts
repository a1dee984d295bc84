/** @file What a model and a data set are, as hashes: by content, whatever they are called. */
import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { sha256, sha256File } from '../base/hash.ts'

/** The hash of the files by which a model or an adapter computes: its configuration and weights. */
export function modelFingerprint(path: string): string {
  if (!statSync(path).isDirectory()) return sha256File(path)
  const names = readdirSync(path).filter((name) => /^(adapter_)?config\.json$|\.(safetensors|gguf)$/.test(name))
  return sha256(
    names
      .sort()
      .map((name) => `${name} ${sha256File(join(path, name))}`)
      .join('\n'),
  )
}

/** The hash of a data file with its name, for people. */
export function dataFingerprint(path: string): string {
  return `${basename(path)} ${sha256File(path).slice(0, 16)}`
}
