/** What templates may not do: each is an error that says so, and never another text. */
import { describe, expect, test } from 'vitest'
import { UserError } from '../../base/errors.ts'
import { compileTemplate } from '../template.ts'

const render = (source: string) =>
  compileTemplate(source, 'x.jinja', new Date(2024, 6, 6))({ messages: [{ role: 'user', content: 'Hi' }], text: 'a' })

describe('what is not supported is named', () => {
  const cases = {
    '{{ text | urlencode }}': "the filter 'urlencode' is not supported",
    '{{ text is filter }}': "the test 'filter' is not supported",
    "{{ '{}'.format(1) }}": "'format' of a str is not supported",
    '{{ text.upper }}': 'printing a function is not supported',
    '{{ messages | map(attribute="role") }}': 'printing a generator is not supported',
    '{{ namespace(a=1) }}': 'printing a namespace is not supported',
    "{{ ('<' | e) + '>' }}": 'unsupported operand types for +: markup and str',
    "{{ ('<' | e) | trim }}": 'trim of a text marked by safe or escape is not supported',
    '{{ 2 ** 60 }}': 'whole numbers beyond 2**53 are not supported',
    '{{ 1.25 | round(1) }}': 'round with a precision is not supported',
    "{{ '²'.isdigit() }}": 'isdigit of digits that are no decimal digits is not supported',
    "{{ 'ǆ' | capitalize }}": "the title case of 'ǆ' is not supported",
    "{{ 1 if text is sameas 'a' }}": "the test 'sameas' is not supported between values of type str",
    "{{ '%x' % 1 }}": 'the placeholder %x is not supported',
    "{{ strftime_now('%j') }}": 'the directive %j of a date is not supported',
    '{{ lipsum() }}': 'lipsum is not supported',
    '{{ self }}': "'self' is not supported",
    '{% filter upper %}a{% endfilter %}': 'filter blocks are not supported',
    "{% include 'a' %}": 'include blocks are not supported',
    '{% for x in [] recursive %}{% endfor %}': 'recursive loops are not supported',
    "{{ '\\N{BULLET}' }}": 'characters by name (\\N) are not supported',
  }
  test.each(Object.entries(cases))('%s', (source, reason) => {
    expect(() => render(source)).toThrow(new UserError(`chat template of x.jinja: ${reason}`))
  })
})

describe('what grows without bounds is stopped', () => {
  const cases = {
    "{{ 'a' * 10**9 }}": 'more than 1048576 characters',
    '{{ [1] * 10**9 }}': 'more than 1048576 characters',
    "{{ 'a'.center(10**9) }}": 'more than 1048576 characters',
    "{{ '%1000000000s' % 1 }}": 'more than 1048576 characters',
    "{{ [('a' * 10**6)] * 1000 }}": 'more than 1048576 characters',
    "{{ ([('a' * 10**6)] * 1000) | join }}": 'more than 1048576 characters',
    "{{ ([('a' * 10**6)] * 1000) | tojson }}": 'more than 1048576 characters',
    "{{ ('a' * 10**6).find('a' * 10**5 ~ 'b') }}": 'operands too large',
    "{{ ('a' * 10**6).replace('', 'a' * 10**3) }}": 'operands too large',
    "{{ ('a' * 10**6).split('a' * 10**3) }}": 'operands too large',
    "{{ (['a' * 10**6] * 1000) | map('upper') | list | length }}": 'too much work',
    "{{ (['a' * 10**6] * 1000) | sort | length }}": 'too much work',
    "{{ (['a' * 10**6] * 1000) | unique | list | length }}": 'too much work',
    "{{ (['a' * 10**6] * 1000) | map('list') | list | length }}": 'too much work',
    '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}': 'macros call each other too deeply',
    '{% for i in range(9999) %}{% set x = [1] * 100000 %}{% endfor %}': 'too much work',
  }
  test.each(Object.entries(cases))('%s', (source, reason) => {
    expect(() => render(source)).toThrow(new UserError(`chat template of x.jinja: ${reason}`))
  })
  test('an empty list is made as often as one likes', () => {
    expect(render('{{ [] * 10**9 }}{{ [1, 2] * 2 }}')).toBe('[][1, 2, 1, 2]')
  })
})
