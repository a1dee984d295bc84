import { expect, test } from 'vitest'
import { readYaml } from './settings-yaml.ts'
import { flattenSweep } from './sweep-yaml.ts'

const read = (text: string) => readYaml(flattenSweep({ path: 'run.yaml', text }))

test('a map below sweep becomes the texts of --sweep, and all else keeps its line', () => {
  const text = [
    'max_steps: 5',
    'sweep: # the grid',
    '  beta: [0.1, 0.40] # weak, strong',
    '  learning_rate: 1e-4',
    '  loss_type:',
    '    - sigmoid',
    '    - [ipo, sft]',
    'lora_r: 8',
    '',
  ].join('\n')
  const givens = read(text)
  expect(givens.map(({ name, content }) => [name, content])).toEqual([
    ['max_steps', '5'],
    ['sweep', ['beta=0.1,0.40', 'learning_rate=1e-4', 'loss_type=sigmoid,ipo+sft']],
    ['lora_r', '8'],
  ])
  expect(givens.map(({ place }) => place)).toEqual(['run.yaml:1: max_steps', 'run.yaml:2: sweep', 'run.yaml:8: lora_r'])
})

test('a map in one line, and a list as flags have it, are read too', () => {
  const expected = [['sweep', ['beta=0.1,0.4']]]
  for (const text of ['{max_steps: 1, sweep: {beta: [0.1, 0.4]}}', 'sweep: {beta: [0.1, 0.4]}\nmax_steps: 1\n']) {
    expect(read(text).flatMap(({ name, content }) => (name === 'sweep' ? [[name, content]] : []))).toEqual(expected)
  }
  expect(read('sweep: ["beta=0.1,0.4"]').map(({ name, content }) => [name, content])).toEqual(expected)
})

test('what has no values is refused, and what is no YAML is left to the reader of settings', () => {
  expect(() => read('sweep: {beta: {a: 1}}')).toThrow(
    /run.yaml: sweep: expected a setting with a list of values, found beta/,
  )
  expect(() => read('sweep: {beta: }')).toThrow(/found beta/)
  expect(() => read('sweep: {beta: *all}')).toThrow(/found beta/)
  expect(() => read('sweep: {beta: [0.1')).toThrow(/run.yaml:1: /)
  expect(() => read(`a: ${'x'.repeat(70_000)}`)).toThrow(/64 KiB/)
})
