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

test('a text is without parts of the key of 12 characters, in hex and backwards, but keeps shorter ones', () => {
  const hex = Buffer.from(KEY).toString('hex')
  const backwards = [...KEY].reverse().join('')
  const url = encodeURIComponent(KEY).replace(/%../g, (code) => code.toLowerCase())
  for (const form of [hex, hex.toUpperCase(), backwards, url.slice(-20)]) {
    expect(redact(`x ${form}`, [secret])).toMatch(/^x \S{0,11}\[secret\]$/)
  }
  for (let from = 0; from + 12 <= KEY.length; from++) {
    expect(redact(`<${KEY.slice(from, from + 12)}>`, [secret])).toBe('<[secret]>')
    expect(redact(`<${KEY.slice(from, from + 11)}>`, [secret])).toBe(`<${KEY.slice(from, from + 11)}>`)
  }
})

test('what stands around keys stays, blanks and line ends as they are', () => {
  const text = `a \n ${KEY}\tb\n\n${KEY.slice(0, 20)}\n${KEY.slice(20)} c  d\\n`
  expect(redact(text, [secret])).toBe('a \n [secret]\tb\n\n[secret] c  d\\n')
})

test('long texts that hold many keys, or nearly one, take linear time', () => {
  for (const near of [`${KEY} `, `${KEY.slice(0, 11)}x`, ' '.repeat(30)]) {
    const began = performance.now()
    redact(near.repeat(20_000), [secret])
    expect(performance.now() - began).toBeLessThan(15_000)
  }
})
