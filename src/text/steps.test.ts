import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { UserError } from '../base/errors.ts'
import { joinSteps, parseSplitter, SPLITTERS, type Splitter, splitSteps } from './steps.ts'

function steps(text: string, splitter: Splitter): string[] {
  const split = splitSteps(text, splitter)
  expect(joinSteps(split)).toBe(text)
  return split.steps.map((step) => step.text)
}

const PIECES = [
  'Step 1: ',
  '**Step 2:** ',
  '\n',
  '\r\n',
  '\n\n',
  ' ',
  '1. ',
  '2) ',
  'So x = 3.5. ',
  'Hence 7! ',
  '$$',
  '\\[',
  '\\]',
  '\\\\[2pt]',
  '\\(',
  '\\)',
  '\\begin{align}',
  '\\end{align}',
  '```',
  '`',
  '[asy]',
  '[/asy]',
  '~~~\n',
  '\\',
  '。',
  '\u2028',
  '\u00a0',
  '\ud800',
  'ки',
]
const soup = fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 5 })), { maxLength: 40 })
const anySplitter = fc.constantFrom<Splitter>(...SPLITTERS, /ки\s*/, /\n{2,}/u, /(?=Step)/i, /x*/, /\b/)

test('whatever the text and the splitter, the steps join to the text, and none is blank or has space around it', () => {
  fc.assert(
    fc.property(soup, anySplitter, (pieces, splitter) => {
      const text = pieces.join('')
      const split = splitSteps(text, splitter)
      expect(joinSteps(split)).toBe(text)
      expect(split.before.trim() === '' || typeof splitter !== 'string').toBe(true)
      for (const step of split.steps) {
        expect(step.text).not.toBe('')
        expect(step.text).toBe(step.text.trim())
      }
    }),
    { numRuns: 2000 },
  )
})

test('a named splitter loses nothing but white space between steps', () => {
  fc.assert(
    fc.property(soup, fc.constantFrom(...SPLITTERS), (pieces, splitter) => {
      const text = pieces.join('')
      const bare = (content: string): string => content.replace(/\s/g, '')
      expect(
        splitSteps(text, splitter)
          .steps.map((step) => bare(step.text))
          .join(''),
      ).toBe(bare(text))
    }),
  )
})

test('a blank text has no steps', () => {
  for (const text of ['', ' \r\n\n\t']) {
    for (const splitter of [...SPLITTERS, /,/]) expect(splitSteps(text, splitter)).toEqual({ before: text, steps: [] })
  }
})

describe('step', () => {
  test('a step begins at a line that begins with its number, in any dress, and keeps it', () => {
    const text =
      'Let us see.\nStep 1: add.\n  more of it\n**Step 2:** double\r\n### Step 3\nhalve\n*Step 4.* STEP 5: no\n'
    expect(steps(text, 'step')).toEqual([
      'Let us see.',
      'Step 1: add.\n  more of it',
      '**Step 2:** double',
      '### Step 3\nhalve',
      '*Step 4.* STEP 5: no',
    ])
  })

  test('a bullet may stand before it', () => {
    expect(steps('- **Step 1**: a\n  - b\n- **Step 2**: c', 'step')).toHaveLength(2)
  })

  test('a line that speaks of a step is none', () => {
    const text = 'Step 1: add\nStep 2 of the recipe was easy\nSteps 3: no\nstep by step'
    expect(steps(text, 'step')).toHaveLength(1)
  })
})

test('blank: lines of white space part steps, single line ends do not', () => {
  expect(steps('\n\na\nb\n\nc\r\n \t\r\n\r\nd\r\ne\r\n', 'blank')).toEqual(['a\nb', 'c', 'd\r\ne'])
})

test('newline: each line that is not blank is a step', () => {
  expect(steps('a\r\nb\n\n c', 'newline')).toEqual(['a', 'b', 'c'])
})

describe('numbered', () => {
  test('the items of one list, with what belongs to them, and what stands before', () => {
    const text = 'We do:\n\n1. Add.\n   1. inner\n   2. inner\n\n   more\n2. Halve 3\n3.5 is half\n3. Done'
    expect(steps(text, 'numbered')).toEqual([
      'We do:',
      '1. Add.\n   1. inner\n   2. inner\n\n   more',
      '2. Halve 3\n3.5 is half',
      '3. Done',
    ])
  })

  test.each(['1) a\n2) b', '(1) a\n(2) b', '**1.** a\n**2.** b', '**1. a**\n**2. b**'])('also %j', (text) => {
    expect(steps(text, 'numbered')).toHaveLength(2)
  })

  test('a number out of its turn is text: 7 follows no 1', () => {
    expect(steps('1. He has\n7. That was a number.\n2. Next', 'numbered')).toHaveLength(2)
  })
})

describe('sentence', () => {
  test('a decimal, an abbreviation and the number of an item end no sentence', () => {
    const text = '1. Mr. Smith pays $3.50, i.e. 7 halves. So he has 2.5 left, cf. Eq. 3. Is it? Yes! 4 remain.'
    expect(steps(text, 'sentence')).toEqual([
      '1. Mr. Smith pays $3.50, i.e. 7 halves.',
      'So he has 2.5 left, cf. Eq. 3.',
      'Is it?',
      'Yes!',
      '4 remain.',
    ])
  })

  test('a blank line ends one too, and a closing bracket belongs to what it closes', () => {
    expect(steps('Given:\n\n(It is 5.) Then\nit is 6. $x$ is 7.', 'sentence')).toEqual([
      'Given:',
      '(It is 5.)',
      'Then\nit is 6.',
      '$x$ is 7.',
    ])
  })

  test('a sentence may end with a variable, a point or an abbreviation of many things', () => {
    expect(steps('Solve for x. Draw a line to A. Count dogs, cats etc. Then halve.', 'sentence')).toHaveLength(4)
  })

  test('a lower-case word begins none', () => {
    expect(steps('We get 5 ft. per day.', 'sentence')).toHaveLength(1)
  })
})

describe('no cut falls', () => {
  const INSIDES: [string, string, string][] = [
    ['into $$', '$$', '$$'],
    ['into \\[', '\\[', '\\]'],
    ['into \\(', '\\(', '\\)'],
    ['into an environment', '\\begin{align*}', '\\end{align*}'],
    ['into a fence', '```python\n', '\n```'],
    ['into a fence of tildes', '~~~~', '\n~~~~~'],
    ['into a drawing', '[asy]', '[/asy]'],
  ]
  test.each(INSIDES)('%s, by any splitter', (_, open, close) => {
    const block = `${open}a = 1. So\n\nStep 1: b\n1. c\n2. D ки\n\nE. F${close}`
    const text = `Before.\n${block}\nAfter.`
    for (const splitter of [...SPLITTERS, /ки/, /\n+/]) {
      expect(
        steps(text, splitter).filter((step) => step.includes(block)),
        String(splitter),
      ).toHaveLength(1)
    }
  })

  test('into inline code, which one line holds', () => {
    expect(steps('Use `p("Hi. There")`. So `it` works. A ` b. C ` d. E', 'sentence')).toEqual([
      'Use `p("Hi. There")`.',
      'So `it` works.',
      'A ` b. C ` d.',
      'E',
    ])
    expect(steps('a `b\nc` d', 'newline')).toHaveLength(2)
  })

  test('into the outer one of two', () => {
    expect(steps('\\[\\begin{aligned}a\n\\end{aligned}\nb\\]\nc', 'newline')).toHaveLength(2)
  })

  test('but mathematics that is never closed holds nothing together, and a fence runs to the end', () => {
    for (const open of ['$$', '\\[', '\\(', '\\begin{align}'])
      expect(steps(`${open}a\nb\nc`, 'newline')).toHaveLength(3)
    expect(steps('a\n```\nb\nc', 'newline')).toEqual(['a', '```\nb\nc'])
  })

  test('and a line break with its spacing, an escaped dollar and inline code open nothing', () => {
    expect(steps('a \\\\[2pt]\nb\n\\]', 'newline')).toHaveLength(3)
    expect(steps('\\$$5\nb\n\\$$6', 'newline')).toHaveLength(3)
    expect(steps('```x```\nb', 'newline')).toHaveLength(2)
  })
})

describe('auto goes by what stands in the text', () => {
  test.each<[string, Splitter, string]>([
    ['numbered steps', 'step', 'Hm.\n\nStep 1: a\n\n1. x\n2. y\n\nStep 2: b'],
    ['a list that carries the text', 'numbered', 'We do\n\n1. a\n\n   b\n\n2. c\n\n3. d'],
    ['paragraphs, one of them with a list', 'blank', 'a\n\nb:\n1. x\n2. y\n\nc\n\nd\n\ne'],
    ['lines', 'newline', 'a. B\nc'],
    ['sentences', 'sentence', 'We add. That is 3.5. Done.'],
  ])('%s', (_, splitter, text) => {
    expect(steps(text, splitter).length).toBeGreaterThan(1)
    expect(steps(text, 'auto')).toEqual(steps(text, splitter))
  })

  test('paragraphs within one display are one step', () => {
    expect(steps('$$a\n\nb$$', 'auto')).toHaveLength(1)
  })
})

test('what a pattern matches stands between steps, and an empty match begins one', () => {
  const split = splitSteps('one ки\ntwo ки\n', /ки\n/)
  expect(split).toEqual({
    before: '',
    steps: [
      { text: 'one', after: ' ки\n' },
      { text: 'two', after: ' ки\n' },
    ],
  })
  expect(steps('a1b2c', /(?=\d)/g)).toEqual(['a', '1b', '2c'])
})

describe('a splitter is written', () => {
  test.each(SPLITTERS)('as its name: %s', (name) => {
    expect(parseSplitter(name)).toBe(name)
  })

  test.each<[string, RegExp]>([
    ['/ки\\s*/', /ки\s*/],
    ['/\\n(?=step)/i', /\n(?=step)/i],
    ['/a/b/gu', /a\/b/gu],
    ['/\n/', /\n/],
  ])('or as a pattern: %j', (value, pattern) => {
    const splitter = parseSplitter(value)
    expect(splitter).toBeInstanceOf(RegExp)
    expect(steps('1 a/b ки 2\nStep', splitter)).toEqual(steps('1 a/b ки 2\nStep', pattern))
  })

  test.each(['', 'steps', 'Step', '//', '/a', 'a/', '/a/y', '/a/gg', '/(/', '/[b-a]/', '__proto__'])(
    'not as %j',
    (value) => {
      expect(() => parseSplitter(value)).toThrow(UserError)
    },
  )
})

test('a pattern that takes for ever is stopped, and named', () => {
  expect(() => splitSteps('a'.repeat(40), /(a+)+$b|c/)).toThrow(UserError)
})

test('hostile texts take no time', () => {
  const hostile = [
    '\\[',
    '$$ \\begin{a}',
    '`',
    '\n',
    ' ',
    '. ',
    '1. ',
    '\n1. ',
    'Step ',
    '*',
    '\\',
    '```\n',
    '~~~',
    ') ',
  ]
  const started = performance.now()
  for (const piece of hostile) {
    const text = piece.repeat(50_000 / piece.length)
    for (const splitter of SPLITTERS) splitSteps(text, splitter)
  }
  expect(performance.now() - started).toBeLessThan(30_000)
})
