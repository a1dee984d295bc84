/** @file Whether the model that answered is the one that was asked. */

/** Versions and moving names that vendors append: `-2024-08-06`, `-20250514`, `-0613`, `-002`, `-latest`, `:free`. */
const VERSION = /(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{3,4}|\d{2}-\d{2}|latest|preview|exp)|:[a-z]+|-0)$/

/** Families whose every name is a model of its own. */
const VENDORS = /^(?:gpt|chatgpt|o\d|claude|gemini)(?=-|$)/

/** Families that anybody may serve under names of their own. */
const OPEN = /llama|qwen|qwq|mi[sx]tral|gemma|phi|deepseek|smollm|gpt-oss|command|yi/

/**
 * A vendor's model fits where the names are equal but for a version that one of them lacks (`gpt-4o` and
 * `gpt-4o-2024-08-06`, not `gpt-4o-mini`), or where a moving name was asked (`gemini-flash-latest`) and the answer's
 * name has all its words. Other servers call models by aliases and paths: there only another family, or a vendor's model in place of
 * an open one, is another model.
 */
export function isSameModel(asked: string, answered: string): boolean {
  const [a, b] = [lastPart(asked), lastPart(answered)]
  if (a === b) return true
  const vendor = vendorOf(a)
  if (vendor === null) {
    const [family, other] = [openFamilyOf(a), openFamilyOf(b) ?? vendorOf(b)]
    return family === null || other === null || family === other
  }
  const [stemA, stemB] = [stemOf(a), stemOf(b)]
  if (/-(?:latest|preview|exp)$/.test(a)) return stemA.split('-').every((word) => b.split('-').includes(word))
  return stemA === stemB && (stemA === a || stemB === b || /-0$/.test(a))
}

/** `openai/gpt-4o` and `models/gemini-2.0-flash` without what stands before; a fine-tuned model by its whole name. */
function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1).toLowerCase()
}

function vendorOf(name: string): string | null {
  return name.startsWith('gpt-oss') ? null : (VENDORS.exec(name)?.[0] ?? null)
}

function openFamilyOf(name: string): string | null {
  return OPEN.exec(name)?.[0] ?? null
}

function stemOf(name: string): string {
  const stem = name.replace(VERSION, '')
  return stem === name ? stem : stemOf(stem)
}
