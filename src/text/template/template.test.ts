/** Templates and expressions against jinja2 as transformers sets it up: the same text, or an error in both. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { UserError } from '../../base/errors.ts'
import { compileTemplate } from '../template.ts'

// make.py in this folder asked transformers.
const folder = join(import.meta.dirname, '../../../test/fixtures/text/templates')

interface Expected {
  readonly names: Readonly<Record<string, unknown>>
  readonly values: Readonly<Record<string, unknown>>
  readonly rows: readonly { template: string; text: string | null }[]
  readonly conversations: readonly unknown[]
  readonly chats: readonly { name: string; texts: (readonly [string | null, string | null])[] }[]
}

const { names, values, rows, conversations, chats }: Expected = JSON.parse(
  readFileSync(join(folder, 'expected.json'), 'utf8'),
)

/** null where it is refused. Any other error than a UserError is one of the test. */
function render(source: string, variables: Readonly<Record<string, unknown>>): string | null {
  try {
    return compileTemplate(source, 'x.jinja', new Date())(variables)
  } catch (error) {
    if (error instanceof UserError) return null
    throw error
  }
}

test.each(rows)('$template', ({ template, text }) => {
  expect(render(template, values)).toBe(text)
})

describe('conversations', () => {
  test.each(chats)('$name', ({ name, texts }) => {
    const source = readFileSync(join(folder, 'models', name), 'utf8')
    texts.forEach((pair, i) => {
      const rendered = [false, true].map((prompt) =>
        render(source, { ...names, messages: conversations[i], add_generation_prompt: prompt }),
      )
      expect(rendered, JSON.stringify(conversations[i])).toEqual(pair)
    })
  })
})
