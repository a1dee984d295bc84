import { format, inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSecret, redact, redactKeys } from './secret.ts'

const KEY = 'sk-canary-7Hq2+/zX9=wLm4Tn0bVc'
const secret = createSecret(KEY)

test('a secret shows its key to reveal alone', () => {
  const shown = [
    String(secret),
    `${secret}`,
    JSON.stringify({ secret }),
    inspect(secret, { showHidden: true, depth: 9 }),
    inspect({ deep: [secret] }),
    format('%s %j %o %O', secret, secret, secret, secret),
    Object.entries(secret).join(),
    String(Object.assign({}, secret)),
  ]
  for (const text of shown) expect(text).not.toContain('canary')
  expect(shown.slice(0, 3)).toEqual(['[secret]', '[secret]', '{"secret":"[secret]"}'])
  expect(secret.reveal()).toBe(KEY)
})

test('a text is without the key as it is, over lines, URL-encoded and as JSON escapes it', () => {
  const forms = [KEY, `${KEY.slice(0, 9)}\n  ${KEY.slice(9)}`, encodeURIComponent(KEY), JSON.stringify(`x${KEY}\n`)]
  for (const form of forms) expect(redact(`before ${form} after`, [secret])).toMatch(/^before \S*\[secret\]\S* after$/)
  expect(redact(`${KEY.slice(0, 9)}\\n${KEY.slice(9)}`, [secret])).toBe('[secret]')
})

test('a text is without the key in base64, whatever stands around it', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), fc.boolean(), (before, after, isUrl) => {
      const encoded = Buffer.from(before + KEY + after).toString(isUrl ? 'base64url' : 'base64')
      const clean = redact(encoded, [secret])
      expect(clean).toContain('[secret]')
      // What is left decodes to no more than a few bytes of the key.
      for (const part of clean.split('[secret]'))
        expect(Buffer.from(part, 'base64').toString('latin1')).not.toContain('canary')
    }),
  )
})

test('what follows Bearer goes from messages, but not from the replies of models', () => {
  expect(redact('Authorization: Bearer abcdefghijklmnopqrst.x', [])).toBe('Authorization: Bearer [secret]')
  expect(redactKeys('Bearer abcdefghijklmnopqrst', [secret])).toBe('Bearer abcdefghijklmnopqrst')
  expect(redact('a basic misunderstanding', [])).toBe('a basic misunderstanding')
})

test('a placeholder is no secret', () => {
  expect(redact('the list is EMPTY', [createSecret('EMPTY')])).toBe('the list is EMPTY')
})

test('long texts that nearly hold the key take linear time', () => {
  const near = `${KEY.slice(0, -1)} `.repeat(20_000)
  const began = performance.now()
  expect(redact(near, [secret])).toBe(near)
  expect(performance.now() - began).toBeLessThan(1000)
})
