import { Command } from 'commander'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { UsageError } from '../base/errors.ts'
import { jsonSchema, settingsToYaml } from '../recipe/settings-yaml.ts'
import { addFlags, throwUsageErrors } from './flags.ts'
import { parseSettings } from './parse-settings.ts'

const Settings = z.object({
  base_model: z.string().meta({
    description: 'Hugging Face id or local folder',
    group: 'Model',
    alias: ['model_name_or_path', 'model'],
  }),
  output_dir: z.string().default('./checkpoints').meta({ description: 'folder of the run', group: 'Run' }),
  max_steps: z.int().min(-1).default(-1).meta({ description: 'updates, -1 for all epochs', group: 'Training' }),
  per_device_train_batch_size: z.int().min(1).default(4).meta({ description: 'pairs at a time', group: 'Training' }),
  learning_rate: z.number().positive().default(1e-5).meta({ description: 'peak', group: 'Training' }),
  label_smoothing: z.number().min(0).lt(0.5).default(0).meta({ description: 'noise', group: 'Training' }),
  eval_strategy: z
    .enum(['no', 'steps', 'epoch'])
    .default('no')
    .meta({ description: 'when to evaluate', group: 'Evaluation', alias: ['evaluation_strategy'] }),
  reward_model: z
    .string()
    .optional()
    .meta({ description: 'the judge', group: 'Judge', alias: ['judge'] }),
  use_lora: z
    .boolean()
    .default(true)
    .meta({ description: 'train an adapter', group: 'LoRA', alias: ['use_peft'] }),
  lora_target_modules: z
    .union([z.literal('all-linear'), z.array(z.string()).min(1)])
    .default(['q_proj', 'v_proj'])
    .meta({ description: 'where adapters attach', group: 'LoRA' }),
  layers: z.array(z.int().nonnegative()).default([]).meta({ description: 'layers with adapters', group: 'LoRA' }),
  resume_from_checkpoint: z.union([z.boolean(), z.string()]).default(false).meta({ description: 'a checkpoint' }),
  max_prompt_length: z.int().positive().nullable().default(512).meta({ description: 'tokens, or none' }),
  run_name: z
    .string()
    .regex(/^[\w-]+$/)
    .optional()
    .meta({ description: 'name of the run' }),
})

const needed = ['--base_model', 'm']
const parse = (...args: readonly string[]) => parseSettings(Settings, [...needed, ...args])
const parseYaml = (text: string, ...args: readonly string[]) =>
  parseSettings(Settings, args, { path: 'run.yaml', text: `base_model: m\n${text}` })

/** The message of the UsageError that is thrown. */
function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
  throw new Error('nothing was thrown')
}

test("the original README's command is understood unchanged", () => {
  const args = [
    ['--base_model', 'meta-llama/Llama-2-7b-hf', '--output_dir', './checkpoints/stepwise_dpo', '--max_steps', '500'],
    ['--per_device_train_batch_size', '4', '--reward_model', 'gpt-4', '--evaluation_strategy', 'steps'],
  ].flat()
  expect(parseSettings(Settings, args)).toEqual({
    base_model: 'meta-llama/Llama-2-7b-hf',
    output_dir: './checkpoints/stepwise_dpo',
    max_steps: 500,
    per_device_train_batch_size: 4,
    learning_rate: 1e-5,
    label_smoothing: 0,
    eval_strategy: 'steps',
    reward_model: 'gpt-4',
    use_lora: true,
    lora_target_modules: ['q_proj', 'v_proj'],
    layers: [],
    resume_from_checkpoint: false,
    max_prompt_length: 512,
  })
})

test('every spelling of a number gives the same setting', () => {
  for (const args of [
    ['--max_steps', '5'],
    ['--max_steps=5'],
    ['--max-steps', '5'],
    ['--max-steps=5'],
    ['max_steps=5'],
  ])
    expect(parse(...args).max_steps).toBe(5)
  expect(parse('--max_steps', '-1').max_steps).toBe(-1)
  expect(parse('--learning_rate', '5e-7').learning_rate).toBe(5e-7)
})

test('a boolean may stand alone, with a value, or negated, and takes no argument that is not its own', () => {
  for (const args of [['--use_lora'], ['--use_lora', 'true'], ['--use_lora=yes'], ['use_lora=1']])
    expect(parse('--use_lora', 'false', ...args).use_lora).toBe(true)
  for (const args of [
    ['--use_lora', 'false'],
    ['--use_lora=no'],
    ['--no_use_lora'],
    ['--no-use-peft'],
    ['use_lora=off'],
  ])
    expect(parse(...args).use_lora).toBe(false)
  expect(parse('--use_lora', 'max_steps=5')).toMatchObject({ use_lora: true, max_steps: 5 })
  expect(parse('--use_lora', '--max_steps', '5')).toMatchObject({ use_lora: true, max_steps: 5 })
  expect(parse('--resume_from_checkpoint').resume_from_checkpoint).toBe(true)
  expect(parse('--resume_from_checkpoint', 'out/checkpoint-5').resume_from_checkpoint).toBe('out/checkpoint-5')
})

test('a list is given by commas, by repetition, or both', () => {
  const lists = [
    ['--layers', '1,2,3'],
    ['--layers', '1', '--layers=2', 'layers=3'],
    ['--layers=1, 2', '--layers', '3'],
  ]
  for (const args of lists) expect(parse(...args).layers).toEqual([1, 2, 3])
  expect(parse('--lora_target_modules', 'all-linear').lora_target_modules).toBe('all-linear')
  expect(parse('--lora_target_modules', 'k_proj').lora_target_modules).toEqual(['k_proj'])
  expect(parse('--layers', '1', '--layers=').layers).toEqual([1])
})

test('of a flag given twice the last counts, but two names of a setting must agree', () => {
  expect(parse('--max_steps', '5', '--max_steps', '6').max_steps).toBe(6)
  expect(parse('--model', 'm').base_model).toBe('m')
  expect(refusal(() => parse('--model', 'other'))).toBe(
    "--model: is another name of 'base_model', which has another value: give one of them",
  )
})

test('flags outweigh YAML, also under another name, and YAML outweighs defaults', () => {
  const settings = parseYaml(
    'max_steps: 5\nlearning_rate: 2e-6\nevaluation_strategy: epoch',
    '--max-steps=7',
    '--eval_strategy',
    'no',
  )
  expect(settings).toMatchObject({
    max_steps: 7,
    learning_rate: 2e-6,
    eval_strategy: 'no',
    per_device_train_batch_size: 4,
  })
})

test('an unknown name is refused with its place and the name that was meant', () => {
  const unknown = ': there is no such setting'
  expect(refusal(() => parse('--per_device_train_batchsize', '4'))).toBe(
    `--per_device_train_batchsize${unknown}, did you mean --per_device_train_batch_size?`,
  )
  expect(refusal(() => parse('--batch_size=4'))).toBe(
    `--batch_size${unknown}, did you mean --per_device_train_batch_size?`,
  )
  expect(refusal(() => parse('--evaluation-stratgy', 'no'))).toBe(
    `--evaluation-stratgy${unknown}, did you mean --eval_strategy?`,
  )
  expect(refusal(() => parse('--maxSteps', '5'))).toBe(`--maxSteps${unknown}, did you mean --max_steps?`)
  expect(refusal(() => parse('--colour', 'red'))).toBe(`--colour${unknown}`)
  expect(refusal(() => parse('--no_max_steps'))).toBe(`--no_max_steps${unknown}, did you mean --max_steps?`)
  expect(refusal(() => parse('max_step=5'))).toBe(`max_step${unknown}, did you mean max_steps?`)
  expect(refusal(() => parseYaml('# so many\nmax_stepz: 3'))).toBe(
    `run.yaml:3: max_stepz${unknown}, did you mean max_steps?`,
  )
  expect(refusal(() => parse('--__proto__=1'))).toBe("'--__proto__=1': expected --name value or name=value")
  expect(refusal(() => parseYaml('__proto__: 3'))).toBe(`run.yaml:2: __proto__${unknown}`)
  expect(refusal(() => parse('run.yaml'))).toBe("'run.yaml': expected --name value or name=value")
})

test('a value that does not fit is refused with its flag, what is expected and what was found', () => {
  const refusals: [string[], string][] = [
    [['--max_steps', 'abc'], "--max_steps: expected an integer ≥ -1, found 'abc'"],
    [['--max_steps=1.5'], "--max_steps: expected an integer ≥ -1, found '1.5'"],
    [['--max-steps=-2'], "--max-steps: expected an integer ≥ -1, found '-2'"],
    [['--max_steps', '--use_lora'], '--max_steps: expected an integer ≥ -1, found nothing'],
    [['--max_steps'], '--max_steps: expected an integer ≥ -1, found nothing'],
    [['--learning_rate', '0'], "--learning_rate: expected a number > 0, found '0'"],
    [['--learning_rate', '1e999'], "--learning_rate: expected a number > 0, found '1e999'"],
    [['label_smoothing=0.5'], "label_smoothing: expected a number ≥ 0 and < 0.5, found '0.5'"],
    [['--evaluation_strategy', 'step'], "--evaluation_strategy: expected one of no, steps, epoch, found 'step'"],
    [['--use_lora=maybe'], "--use_lora: expected true or false, found 'maybe'"],
    [['--layers', '1,x'], "--layers: expected a list (an integer ≥ 0), found '1,x'"],
    [['--layers', '-1'], "--layers: expected a list (an integer ≥ 0), found '-1'"],
    [['--lora_target_modules='], "--lora_target_modules: expected all-linear or a list (text) of length ≥ 1, found ''"],
    [['--max_prompt_length', '0'], "--max_prompt_length: expected an integer > 0 or none, found '0'"],
    [['--run_name', 'a b'], "--run_name: expected text like /^[\\w-]+$/, found 'a b'"],
  ]
  for (const [args, message] of refusals) expect(refusal(() => parse(...args))).toBe(message)
  expect(refusal(() => parseYaml('max_steps: abc'))).toBe(
    "run.yaml:2: max_steps: expected an integer ≥ -1, found 'abc'",
  )
  expect(refusal(() => parseYaml('layers: [1, two]'))).toBe(
    'run.yaml:2: layers: expected a list (an integer ≥ 0), found [1, two]',
  )
})

test('everything that is missing or out of limits is told at once', () => {
  expect(refusal(() => parseSettings(Settings, ['--max_steps=-2', '--learning_rate=-1']))).toBe(
    [
      '--base_model is missing: Hugging Face id or local folder',
      "--max_steps: expected an integer ≥ -1, found '-2'",
      "--learning_rate: expected a number > 0, found '-1'",
    ].join('\n'),
  )
})

test('rules across settings speak in their own words', () => {
  const schema = z
    .object({ warmup_steps: z.int().default(0), warmup_ratio: z.number().default(0) })
    .refine((settings) => settings.warmup_steps === 0 || settings.warmup_ratio === 0, {
      message: 'excludes warmup_ratio',
      path: ['warmup_steps'],
    })
  expect(refusal(() => parseSettings(schema, ['warmup_ratio=0.1', '--warmup_steps', '3']))).toBe(
    '--warmup_steps: excludes warmup_ratio',
  )
})

test('YAML gives what flags give, in the words of both YAML versions', () => {
  const text = [
    'max_steps: -1 # all',
    'learning_rate: 1e-6',
    'use_lora: no',
    'eval_strategy: no',
    'lora_target_modules: [q_proj, "k,proj"]',
    'layers: 1,2',
    'run_name: 007',
    'reward_model:',
    'max_prompt_length: null',
  ].join('\n')
  expect(parseYaml(text)).toMatchObject({
    max_steps: -1,
    learning_rate: 1e-6,
    use_lora: false,
    eval_strategy: 'no',
    lora_target_modules: ['q_proj', 'k,proj'],
    layers: [1, 2],
    run_name: '007',
    max_prompt_length: null,
  })
  expect(parseYaml(text)).not.toHaveProperty('reward_model')
  expect(parseSettings(Settings, needed, { path: 'empty.yaml', text: '# nothing' }).max_steps).toBe(-1)
})

test('YAML that is not a list of settings is refused with its line', () => {
  expect(refusal(() => parseYaml('max_steps: 1\nmax_steps: 2'))).toMatch(/^run\.yaml:3: Map keys must be unique/)
  expect(refusal(() => parseYaml('layers: [1'))).toMatch(/^run\.yaml:2: /)
  expect(refusal(() => parseYaml('layers: {a: 1}'))).toBe('run.yaml:2: layers: expected a value or a list of values')
  expect(refusal(() => parseYaml('output_dir: &x out\nreward_model: *x'))).toBe(
    'run.yaml:3: reward_model: expected a value or a list of values',
  )
  expect(refusal(() => parseYaml('layers: [[1]]'))).toBe('run.yaml:2: layers: expected a value or a list of values')
  const whole = (text: string) => refusal(() => parseSettings(Settings, [], { path: 'a.yaml', text }))
  expect(whole('just words')).toBe('a.yaml: expected settings as name: value')
  expect(whole('- a')).toBe('a.yaml: expected settings as name: value')
  expect(whole('? [a]\n: 1')).toBe('a.yaml: expected settings as name: value')
  expect(whole('['.repeat(10_000))).toMatch(/^a\.yaml/)
  expect(whole('a'.repeat(1e5))).toBe('a.yaml: expected settings, found over 64 KiB')
})

test('any text as a YAML file is read or refused, never a bug', () => {
  const piece = fc.constantFrom(
    'max_steps',
    'layers',
    ': ',
    '\n',
    '- ',
    '[',
    ']',
    '{',
    '}',
    '&a ',
    '*a',
    '!!x ',
    '"',
    '1',
    ' ',
    '? ',
    '|\n',
    '<<',
    '%YAML 1.1\n---\n',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const file = { path: 'a.yaml', text: pieces.join('') }
      try {
        expect(parseSettings(Settings, needed, file).base_model).toBe('m')
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError)
      }
    }),
    { numRuns: 500 },
  )
})

test('settings written as YAML are read back equal', () => {
  const text = fc.string({ unit: 'grapheme' })
  const settings = fc.record({
    base_model: text,
    output_dir: fc.constantFrom('', 'null', 'true', '~', '1e5', ' a ', 'a: b', '# a', 'a\nb\n', '\u0085', '- x'),
    max_steps: fc.integer({ min: -1 }),
    learning_rate: fc.double({ min: 1e-300, max: 1e300, noNaN: true }),
    use_lora: fc.boolean(),
    lora_target_modules: fc.oneof(fc.constant('all-linear'), fc.array(text, { minLength: 1 })),
    layers: fc.array(fc.nat()),
    max_prompt_length: fc.option(fc.integer({ min: 1 })),
  })
  fc.assert(
    fc.property(settings, (some) => {
      const whole = Settings.parse(some)
      expect(parseSettings(Settings, [], { path: 'x', text: settingsToYaml(Settings, whole) })).toEqual(whole)
    }),
  )
  expect(settingsToYaml(Settings, { max_steps: 5, base_model: 'm', run_name: undefined })).toBe(
    'base_model: m\nmax_steps: 5\n',
  )
})

test("an editor's schema knows every name, limits and descriptions, and nothing else", () => {
  const schema: { properties?: Record<string, unknown> } = jsonSchema(Settings)
  expect(schema).toMatchObject({ type: 'object', additionalProperties: false })
  expect(schema).not.toHaveProperty('required')
  expect(Object.keys(schema.properties ?? {}).sort()).toEqual(
    [...Object.keys(Settings.shape), 'model_name_or_path', 'model', 'evaluation_strategy', 'judge', 'use_peft'].sort(),
  )
  expect(schema.properties?.['learning_rate']).toEqual({
    type: 'number',
    exclusiveMinimum: 0,
    default: 1e-5,
    description: 'peak',
  })
  expect(schema.properties?.['model']).toEqual({ $ref: '#/properties/base_model', deprecated: true })
})

/** A program with a command `train` that keeps the arguments its action sees. */
function newProgram(): { program: Command; seen: () => { args: string[]; config?: string } } {
  const program = throwUsageErrors(new Command('stepdpo')).version('1').option('--config <file>', 'a trap')
  let seen: { args: string[]; config?: string } = { args: [] }
  const train = addFlags(program.command('train').description('trains'), Settings)
  train.action(() => {
    seen = { args: train.args, config: train.opts()['config'] }
  })
  return { program, seen: () => seen }
}

test("commander hands over a command's arguments in their order, and its configuration file", () => {
  const { program, seen } = newProgram()
  const args = ['max_steps=5', '--use_lora', '--layers', '-1', '--config', 'run.yaml', '--version', '--x=y', 'a=b']
  program.parse(['train', ...args], { from: 'user' })
  expect(seen()).toEqual({
    config: 'run.yaml',
    args: ['max_steps=5', '--use_lora', '--layers', '-1', '--version', '--x=y', 'a=b'],
  })
})

test("commander's own complaints are usage errors", () => {
  const run = (...args: string[]) => refusal(() => newProgram().program.parse(args, { from: 'user' }))
  expect(run('trian')).toBe("unknown command 'trian'\n(Did you mean train?)")
  expect(run('train', '--config')).toBe("option '--config <file>' argument missing")
  expect(run('--max_steps', '5', 'train')).toBe("unknown option '--max_steps'")
})

test('the help has groups, defaults and choices, and hides aliases', () => {
  const small = Settings.pick({ base_model: true, max_steps: true, eval_strategy: true, use_lora: true, layers: true })
  const command = addFlags(new Command('train').configureOutput({ getOutHelpWidth: () => 80 }), small)
  expect(command.helpInformation().split('\n')).toEqual([
    'Usage: train [options]',
    '',
    'Options:',
    '  --config <file>         settings from a YAML file; flags outweigh it',
    '  -h, --help              display help for command',
    '',
    'Model:',
    '  --base_model <text>     Hugging Face id or local folder',
    '',
    'Training:',
    '  --max_steps <n>         updates, -1 for all epochs (default: -1)',
    '',
    'Evaluation:',
    '  --eval_strategy <name>  when to evaluate (choices: "no", "steps", "epoch",',
    '                          default: no)',
    '',
    'LoRA:',
    '  --use_lora [bool]       train an adapter (default: true)',
    '  --layers <list>         layers with adapters (default: [])',
    '',
  ])
})
