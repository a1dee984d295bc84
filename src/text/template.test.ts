import { describe, expect, test } from 'vitest'
import { UserError } from '../base/errors.ts'
import { formatDate } from './format-date.ts'
import { compileTemplate } from './template.ts'

const now = new Date(2024, 6, 6, 5, 4, 3)
const messages = [
  { role: 'user', content: ' Hi <b> ' },
  { role: 'assistant', content: 'Ho' },
]
const render = (source: string) => compileTemplate(source, 'x.jinja', now)({ messages })

test('a template sees its variables, the globals of transformers, and blocks without their line ends', () => {
  expect(
    render(
      "{% for m in messages %}\n  {% if m['role'] == 'user' %}\nQ{{ m.content | trim }}\n{% endif %}\n{% endfor %}A",
    ),
  ).toBe('QHi <b>\nA')
  expect(render('{{ range(3) | join }}{{ range(5, 1, -2) | join }}{{ none is none }}{{ True }}')).toBe('01253TrueTrue')
  expect(render("{{ tools is defined }} {{ strftime_now('%d %B %Y') }}")).toBe('False 06 July 2024')
  expect(render('{% for i in range(9) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}')).toBe('012')
  expect(render("{{ 'aXbX' | replace('X', 'yy') }}{{ 'aXb'.split('X')[1] }}{{ 'a' in 'ab' }}")).toBe('ayybyybTrue')
})

test('dates are written in English as strftime writes them', () => {
  expect(formatDate(now, '%Y-%m-%d %H:%M:%S %a %A %b %B %%')).toBe('2024-07-06 05:04:03 Sat Saturday Jul July %')
  // datetime(2024, 7, 6, 5, 4, 3).strftime in Python
  expect(formatDate(now, '%y|%e|%I|%p|%-d|%-m|%-H|%-I')).toBe('24| 6|05|AM|6|7|5|5')
  expect(() => formatDate(now, '%j')).toThrow('%j')
})

test('an exception of the template is an error of the user with its words', () => {
  expect(() => render("{{ raise_exception('only one system message') }}")).toThrow(
    new UserError('chat template of x.jinja: only one system message'),
  )
  expect(() => render('{% if %}')).toThrow(UserError)
})

describe('a hostile template ends in an error', () => {
  const double = (times: number, first = 'a') =>
    `{% set ns = namespace(s='${first}') %}{% for i in range(${times}) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`
  const hostile = {
    'a long range': '{% for i in range(1000000000) %}a{% endfor %}',
    'an endless range': '{{ range(0, 1, 0) }}',
    'nested loops': '{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}',
    'a string that doubles': double(60),
    'a list that doubles':
      '{% set ns = namespace(a=[1]) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}',
    'a tree that doubles':
      '{% set ns = namespace(a=1) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}',
    'a list that holds itself': '{% set a = namespace() %}{% set a.x = [a, a] %}{{ a | tojson }}',
    'a filter block': '{% filter upper %}a{% endfilter %}',
    'macros that call themselves twice':
      '{% macro f(g, n) %}{% if n %}{{ g(g, n - 1) }}{{ g(g, n - 1) }}{% endif %}{% endmacro %}{{ f(f, 60) }}',
    'many names that do not exist':
      '{% for i in range(9999) %}{{ a }}{{ b }}{{ c }}{{ d }}{% for j in range(99) %}{{ e }}{% endfor %}{% endfor %}',
    'a long macro defined often': `{% for i in range(9999) %}{% macro m() %}${'{{ x }}'.repeat(50_000)}{% endmacro %}{% endfor %}`,
    'deep brackets': `{{ ${'('.repeat(50_000)}1${')'.repeat(50_000)} }}`,
    'deep blocks': '{% if true %}'.repeat(20_000) + '{% endif %}'.repeat(20_000),
    'blocks that are never closed': '{{'.repeat(100_000),
    'a million spaces': ' '.repeat(1_000_000),
    'more than 1 MB': '{{ 1 }}'.repeat(200_000),
    'a constructor': "{{ ''.constructor.constructor('return process')() }}",
  }

  const multiplying = {
    'every letter replaced by a long text': double(19) + "{{ ns.s.replace('a', ns.s) }}",
    'the same by a filter': double(19) + "{{ ns.s | replace('a', ns.s) }}",
    'the same by a method kept in a variable': double(19) + "{% set f = ns.s.replace %}{{ f('a', ns.s) }}",
    'the same by a computed name': double(19) + "{{ ns.s['re' ~ 'place']('a', ns.s) }}",
    'a long separator': double(19) + '{{ ns.s | join(ns.s) }}',
    'a wide indent': double(15, '\\n') + '{{ ns.s | indent(100000, true, true) }}',
    'a wide JSON': '{{ messages | tojson(indent=1000000000) }}',
    'a search in quadratic time': double(19) + "{{ (ns.s[:260000] ~ 'b' ~ ns.s[:260000]) in ns.s }}",
  }

  test.each(Object.entries(hostile))('%s', (_name, source) => {
    const startMs = performance.now()
    expect(() => render(source)).toThrow(UserError)
    expect(performance.now() - startMs).toBeLessThan(30_000) // 100 ms and then 800 ms to parse or to render, on a busy machine
  })

  test.each(Object.entries(multiplying))('%s, before it takes memory', (_name, source) => {
    expect(() => render(source)).toThrow('operands too large')
  })

  test('and sees nothing of the host', () => {
    expect(render("{{ messages.__proto__ }}{{ messages[0].constructor }}{{ ''['__proto__'] }}")).toBe('')
    expect(Object.prototype).not.toHaveProperty('x')
  })
})

test('long messages are rendered, and a megabyte is not', () => {
  const chat = compileTemplate(
    "{% for m in messages %}{{ '<s>' + m.content.replace('\r', '').strip() + '</s>' }}{% endfor %}",
    'x',
    now,
  )
  const content = 'word '.repeat(4000).trim()
  expect(chat({ messages: Array.from({ length: 20 }, () => ({ content })) })).toBe(`<s>${content}</s>`.repeat(20))
  expect(() => chat({ messages: [{ content: 'a'.repeat(1 << 20) }] })).toThrow('more than 1048576 characters')
})
