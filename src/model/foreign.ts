/** @file What a file is that was taken for weights, told by its first bytes. */
import type { ByteFile } from './byte-file.ts'

/** How weights in pickles become weights that can be read without running code. */
export const CONVERT_PICKLE =
  'reading it could run code; convert it with transformers where you trust it: ' +
  'AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder) writes model.safetensors'

const kinds: readonly { readonly prefix: string; readonly kind: string }[] = [
  { prefix: 'PK', kind: `a zip archive, as PyTorch packs pickles: ${CONVERT_PICKLE}` },
  ...['\x80\x02', '\x80\x03', '\x80\x04', '\x80\x05'].map((prefix) => ({
    prefix,
    kind: `a pickle: ${CONVERT_PICKLE}`,
  })),
  { prefix: 'GGUF', kind: 'a GGUF file: name it *.gguf' },
  { prefix: 'version https://git-lfs', kind: "a Git LFS pointer instead of the file: run 'git lfs pull'" },
]

/** What the file seems to be, or `otherwise`. */
export function foreignKind(file: ByteFile, otherwise: string): string {
  const head = Buffer.from(file.read(0, Math.min(32, file.size))).toString('latin1')
  return kinds.find(({ prefix }) => head.startsWith(prefix))?.kind ?? otherwise
}
