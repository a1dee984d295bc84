/** @file Examples of judged solutions: a built-in set of our own, and those of a file. */
import { z } from 'zod'
import { InputError } from '../base/errors.ts'
import { readJsonLines } from '../base/lines.ts'
import type { Shot } from './modes.ts'

export const builtInShots: readonly Shot[] = [
  {
    solution: {
      problem:
        'A crate holds 6 rows of 8 jars. 5 jars are broken. Each whole jar is sold for 3 coins. What do they bring?',
      steps: [
        'The crate holds 6 * 8 = 48 jars.',
        '48 - 5 = 43 jars are whole.',
        'Sold for 3 coins each, they bring 43 + 3 = 46 coins.',
        'The answer is 46.',
      ],
    },
    verdicts: [
      { reason: '6 rows of 8 jars are 6 * 8 = 48 jars.', label: 'correct' },
      { reason: '5 of 48 jars are broken, so 43 are whole.', label: 'correct' },
      {
        reason: '43 jars at 3 coins bring 43 * 3 = 129 coins; the step adds where it must multiply.',
        label: 'incorrect',
      },
    ],
  },
  {
    solution: {
      problem: 'Find all real x with x^2 - 5x + 6 = 0.',
      steps: [
        'Let us look at the equation.',
        'It factors as (x - 2)(x - 3) = 0, since 2 + 3 = 5 and 2 * 3 = 6.',
        'So x = 2 or x = 3.',
      ],
    },
    verdicts: [
      { reason: 'Nothing wrong is said, and nothing is found out.', label: 'neutral' },
      { reason: '(x - 2)(x - 3) is x^2 - 5x + 6, so the factors are right.', label: 'correct' },
      { reason: 'A product is zero where one of its factors is: x = 2 or x = 3.', label: 'correct' },
    ],
  },
]

const label = z.enum(['correct', 'neutral', 'incorrect'])

const shotRow = z
  .strictObject({
    problem: z.string().min(1),
    reference: z.string().optional(),
    steps: z.array(z.string().min(1)).min(1),
    labels: z.array(label).min(1),
    reasons: z.array(z.string()).min(1),
  })
  .refine(({ labels, reasons }) => labels.length === reasons.length, 'expected a reason for each label')
  .refine(
    ({ labels, steps }) => labels.length === steps.length || labels.at(-1) === 'incorrect',
    'expected a label for each step, or labels up to the first incorrect one',
  )
  .refine(({ labels, steps }) => labels.length <= steps.length, 'expected no more labels than steps')
  .refine(
    ({ labels }) => labels.slice(0, -1).every((one) => one !== 'incorrect'),
    'expected no label after an incorrect one',
  )

/**
 * The examples of a JSON-lines file: `{problem, steps, labels, reasons, reference?}`.
 * @throws InputError for a row that is none.
 */
export async function readShots(file: string): Promise<Shot[]> {
  const shots: Shot[] = []
  for await (const row of readJsonLines(file)) {
    const parsed = 'value' in row ? shotRow.safeParse(row.value) : undefined
    if (!parsed?.success) {
      const [issue] = parsed?.error.issues ?? []
      const found = 'problem' in row ? row.problem : `${issue.path.join('.') || 'the row'}: ${issue.message}`
      throw new InputError({ file, line: row.line }, 'an example of a judged solution', found)
    }
    const { problem, reference, steps, labels, reasons } = parsed.data
    shots.push({
      solution: { problem, steps, ...(reference !== undefined && { reference }) },
      verdicts: labels.map((of, at) => ({ reason: reasons[at], label: of })),
    })
  }
  if (shots.length === 0) throw new InputError({ file }, 'examples of judged solutions', 'none')
  return shots
}
