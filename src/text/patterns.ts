/** @file The patterns that byte-level tokenizers split text with, known to take linear time. */

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
const LETTERS = '[^\\r\\n\\p{L}\\p{N}]?\\p{L}+'
const REST = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'

export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/** Llama 3 and GPT-4: digits in groups of three. */
export const LLAMA3_PATTERN = `${CONTRACTIONS}|${LETTERS}|\\p{N}{1,3}|${REST}`
/** Qwen 2 and 3: each digit alone. */
export const QWEN2_PATTERN = `${CONTRACTIONS}|${LETTERS}|\\p{N}|${REST}`

/** What llama.cpp splits with, one after the other, where a GGUF file names no pre-tokenizer (llama-vocab.cpp). */
export const LLAMA_CPP_DEFAULT_PATTERNS = [
  '[\\p{P}\\$\\+<=>\\^~\\|]+',
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)",
  '\\p{N}+',
  '[0-9][0-9][0-9]',
]

export const LINEAR_PATTERNS: ReadonlySet<string> = new Set([
  GPT2_PATTERN,
  LLAMA3_PATTERN,
  QWEN2_PATTERN,
  ...LLAMA_CPP_DEFAULT_PATTERNS,
])
