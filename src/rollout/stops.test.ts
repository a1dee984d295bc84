/** Stop strings in the text of a real tokenizer: bytes, so that characters and stop strings run over several tokens. */
import { describe, expect, test } from 'vitest'
import { writeTinyModel } from '../../scripts/tiny-model.ts'
import { folderMaker } from '../../test/folders.ts'
import { loadTokenizer } from '../text/tokenizer.ts'
import { findStop, rememberTokens, watchStops } from './stops.ts'

const folder = folderMaker()()
writeTinyModel(folder, 0)
const tokenizer = loadTokenizer(folder)
const decode = rememberTokens(tokenizer.decodeContinuation)

/** The token, counted from 0, at which a stop string is complete. */
function stopsAt(text: string, stops: readonly string[]): number {
  const completes = watchStops(decode, stops)
  return tokenizer.encodeContinuation(text).findIndex(completes)
}

describe('a stop string is seen at the token that completes it', () => {
  test.each([
    ['within a text', 'one\ntwo', ['\n'], 3],
    ['over several tokens', 'a Step 2 b', ['Step 2'], 7],
    ['the first of several', 'a. b\nc', ['\n', '. '], 2],
    ['again after half of it', 'aab', ['ab'], 2],
    ['a character of three bytes', 'a→b', ['→'], 3],
    ['after characters of several bytes', 'é→😀\n', ['\n'], 9],
    ['nowhere', 'abc', ['d', 'abcd'], -1],
    ['without stop strings', 'abc', [], -1],
  ])('%s', (_, text, stops, at) => {
    expect(stopsAt(text, stops)).toBe(at)
  })

  test('after bytes that make no character', () => {
    const completes = watchStops(decode, ['\n'])
    const newline = tokenizer.encodeContinuation('\n')[0]
    const [lead] = tokenizer.encodeContinuation('→')
    expect([lead, lead, lead, lead, lead, lead, newline].findIndex(completes)).toBe(6)
  })
})

test('a text is cut at the earliest stop string; of two that begin together the longer one is named', () => {
  expect(findStop('a\n\nb. c', ['. ', '\n', '\n\n'])).toEqual({ at: 1, stop: '\n\n' })
  expect(findStop('a', ['b'])).toBeUndefined()
})
