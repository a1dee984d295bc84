import { expect, test } from 'vitest'
import { createSecret } from '../secret.ts'
import { httpError, parseRetryAfter, quote } from './http-error.ts'

const NOW = Date.parse('2026-01-02T03:04:05Z')

test.each([
  [{ 'retry-after': '7' }, 7000],
  [{ 'retry-after': '0.5' }, 500],
  [{ 'retry-after': '0' }, 0],
  [{ 'retry-after': '3000000' }, 3e9],
  [{ 'retry-after-ms': '250', 'retry-after': '7' }, 250],
  [{ 'retry-after-ms': 'x', 'retry-after': '7' }, 7000],
  [{ 'retry-after': 'Fri, 02 Jan 2026 03:04:15 GMT' }, 10_000],
  [{ 'retry-after': 'Fri, 02 Jan 2026 03:04:01 GMT' }, 0],
  // The server's own clock counts: it is an hour behind.
  [{ 'retry-after': 'Fri, 02 Jan 2026 02:04:15 GMT', date: 'Fri, 02 Jan 2026 02:04:05 GMT' }, 10_000],
  [{ 'retry-after': '-5' }, undefined],
  [{ 'retry-after': 'soon' }, undefined],
  [{ 'retry-after': '1e9' }, undefined],
  [{ 'retry-after': 'Infinity' }, undefined],
  [{ 'retry-after': '2026-01-02' }, undefined],
  [{ 'retry-after': '1'.repeat(400) }, undefined],
  [{ 'retry-after': '' }, undefined],
  [{}, undefined],
])('of %j the wait is %s ms', (headers, expected) => {
  expect(parseRetryAfter(new Headers(headers), NOW)).toBe(expected)
})

const speaker = { name: 'openai:m', secrets: [createSecret('sk-canary-123456')] }

function errorOf(status: number, body: unknown) {
  return httpError(speaker, { status, headers: new Headers() }, body, NOW)
}

test('a message is found in the error objects of all vendors', () => {
  const bodies = [
    { error: { message: 'too long', type: 'x', param: null, code: 400 } },
    { type: 'error', error: { type: 'invalid_request_error', message: 'too long' } },
    { object: 'error', message: 'too long', code: 400 },
    { error: 'too long' },
    { detail: 'too long' },
    [{ error: { code: 400, message: 'too long', status: 'INVALID_ARGUMENT' } }],
  ]
  for (const body of bodies) expect(errorOf(400, body).message).toBe('openai:m: HTTP 400: too long')
  for (const body of [null, 'html', 7, [], {}]) expect(errorOf(400, body).message).toBe('openai:m: HTTP 400')
})

test('an empty purse is told from a limit that passes', () => {
  expect(errorOf(429, { error: { code: 'insufficient_quota' } }).facts.kind).toBe('quota')
  expect(errorOf(400, { error: { message: 'Your credit balance is too low to access' } }).facts.kind).toBe('quota')
  // Gemini says so of limits per minute, too.
  expect(errorOf(429, { error: { message: 'You exceeded your current quota' } }).facts.kind).toBe('rate-limit')
})

test('a quote is one short line, without keys, control characters and the users of addresses', () => {
  expect(quote('a\r\n\u001b[31mb\tsk-canary-123456', speaker.secrets)).toBe('a [31mb [secret]')
  expect(quote('at https://me:pw@host/x', [])).toBe('at https://host/x')
  expect(quote(`${'x'.repeat(290)} sk-canary-123456`, speaker.secrets)).not.toContain('sk-')
  expect(quote('x'.repeat(5000), []).length).toBe(301)
})
