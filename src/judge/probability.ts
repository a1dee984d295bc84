/** @file The probability of Yes against No in the first word of a reply. */
import type { ChatReply } from './chat.ts'
import type { Readable } from './reply.ts'

/** Yes or No with its spaces, case and punctuation; undefined for any other word. */
function verdictWord(token: string): 'yes' | 'no' | undefined {
  const word = token
    .trim()
    .replace(/[.!,"'*]+/g, '')
    .toLowerCase()
  return word === 'yes' || word === 'no' ? word : undefined
}

/**
 * `P(Yes) / (P(Yes) + P(No))`, summed over spellings, where the reply has log-probabilities; else 1 or 0 by its text, which
 * votes turn into a frequency. A reply that is neither word is unreadable.
 */
export function probabilityOf({ text, logprobs }: Pick<ChatReply, 'text' | 'logprobs'>): Readable<number> {
  const first = logprobs?.find(({ token }) => token.trim() !== '')
  if (first !== undefined) {
    const mass = { yes: 0, no: 0 }
    for (const { token, logprob } of first.alternatives) {
      const word = verdictWord(token)
      if (word !== undefined) mass[word] += Math.exp(logprob)
    }
    const total = mass.yes + mass.no
    return total > 0 && Number.isFinite(total)
      ? { value: mass.yes / total }
      : { unreadable: 'neither Yes nor No is among the first words' }
  }
  const word = verdictWord(text)
  if (word === undefined) return { unreadable: 'the reply is neither Yes nor No' }
  return { value: word === 'yes' ? 1 : 0 }
}
