/** @file What ONNX Runtime's errors say, without the places in its source which it puts in front. */
import { messageOf } from '../base/errors.ts'

/** What lies in the midst of templates and file names, most telling first. */
const TELLING = [
  /\bCU\w+ failure \d+: [^;]*[^; ]/,
  /Failed to allocate memory for requested buffer of size \d+/,
  /(?<= was false\. ).*/s,
]

/** The message of an error, 300 characters of it at most. */
export function ortMessage(error: unknown): string {
  const message = messageOf(error)
  const telling = TELLING.map((pattern) => pattern.exec(message)?.[0]).find((found) => found !== undefined)
  return (telling ?? message).slice(0, 300).trim()
}

/** Whether a device has too little memory. */
export function isOutOfMemory(error: unknown): boolean {
  return /Failed to allocate memory|out of memory|\bCUDA failure 2:/i.test(messageOf(error))
}
