import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { UsageError } from '../base/errors.ts'
import { pointsOf, readDimensions, showPoint, trialsOf } from './sweep-grid.ts'
import { gridTexts, sweepSchema } from './sweep-settings.ts'

const pointNames = (...items: string[]): string[] =>
  pointsOf(readDimensions(items), undefined, 0).map(({ name }) => name)

const settings = (more: object) =>
  sweepSchema.parse({ base_model: 'm', dataset_path: 'd', output_dir: 'out', sweep: ['beta=0.1,0.4'], ...more })

describe('a grid', () => {
  test('has every combination, the last setting fastest, and names say the point', () => {
    expect(pointNames('beta=0.1,0.4', 'learning_rate=1e-5,1e-4')).toEqual([
      'beta-0.1_lr-1e-5',
      'beta-0.1_lr-1e-4',
      'beta-0.4_lr-1e-5',
      'beta-0.4_lr-1e-4',
    ])
  })

  test('reads a flag that was cut at its commas as one that was not', () => {
    expect(pointNames('beta=0.1', '0.4', 'lora_r=8', '16')).toEqual(pointNames('beta=0.1,0.4', 'rank=8,16'))
  })

  test('joins the items of a list by +, and knows names for all linears from a list of some', () => {
    const [losses] = readDimensions(['loss_type=sigmoid,ipo+sft'])
    expect(losses.values.map(({ value }) => value)).toEqual([['sigmoid'], ['ipo', 'sft']])
    const [targets] = readDimensions(['lora_target_modules=all-linear,q_proj+v_proj'])
    expect(targets.values.map(({ value }) => value)).toEqual(['all-linear', ['q_proj', 'v_proj']])
  })

  test('takes a value once, however it is written', () => {
    expect(pointNames('lr=0.00001,1e-5,1.0E-05')).toEqual(['lr-1e-5'])
    expect(pointNames('learning-rate=20', 'lr=300')).toEqual(['lr-20', 'lr-300'])
  })

  test('is read back from the numbers of a record', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.double({ min: 1e-12, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
        const [dimension] = readDimensions(gridTexts({ beta: values }))
        expect(dimension.values.map(({ value }) => value)).toEqual(values)
        expect(dimension.values.map(({ text }) => Number(text))).toEqual(values)
      }),
    )
  })

  test('gives every point a folder of its own, also where values are no names for folders', () => {
    const names = pointNames('targets=a/b,a\\b,ab,../ab')
    expect(new Set(names).size).toBe(4)
    for (const name of names) expect(name).toMatch(/^targets-[\w.+-]+$/)
    const [long] = pointNames(`targets=${'x'.repeat(500)}`)
    expect(long.length).toBeLessThan(120)
  })

  test('drawn in part has so many points, and the fewer are among the more', () => {
    const dimensions = readDimensions(['beta=1,2,3,4,5', 'lora_r=1,2,3,4,5'])
    const few = pointsOf(dimensions, 6, 7).map(({ name }) => name)
    const more = pointsOf(dimensions, 11, 7).map(({ name }) => name)
    expect([new Set(few).size, new Set(more).size]).toEqual([6, 11])
    expect(more).toEqual(expect.arrayContaining(few))
    expect(pointsOf(dimensions, 6, 8).map(({ name }) => name)).not.toEqual(few)
    expect(pointsOf(dimensions, 99, 7)).toEqual(pointsOf(dimensions, undefined, 7))
  })

  test.each([
    [['bata=1'], /bata: there is no such setting/],
    [['beta'], /expected NAME=v1,v2/],
    [['beta='], /beta: expected a number > 0, found nothing/],
    [['beta=0.1,'], /beta: expected a number > 0, found nothing/],
    [['beta=one'], /beta: expected a number > 0, found 'one'/],
    [['beta=0.1,-1'], /beta: expected a number > 0, found '-1'/],
    [['rank=8,1.5'], /lora_r: expected an integer > 0, found '1.5'/],
    [['loss_type=sigmod'], /loss_type: expected a list .*found 'sigmod'/],
    [['max_steps=5'], /max_steps: is the budget/],
    [['seed=1,2'], /--sweep_seeds/],
    [['output_dir=a,b'], /output_dir: is shared by all trials/],
    [['constructor=1'], /constructor: there is no such setting/],
    [['__proto__=1'], /expected NAME=v1,v2/],
  ])('refuses %j', (items, message) => {
    expect(() => readDimensions(items)).toThrow(message)
    expect(() => readDimensions(items)).toThrow(UsageError)
  })

  test('is refused where nobody could train it', () => {
    const wide = Array.from({ length: 40 }, (_, at) => at + 1).join()
    const huge = [`beta=${wide}`, `lora_r=${wide}`, `lora_alpha=${wide}`, `weight_decay=${wide}`]
    expect(() => pointsOf(readDimensions(huge), 5, 0)).toThrow(/1000000 points at most, found 2560000/)
    expect(() => pointsOf(readDimensions(huge.slice(0, 2)), undefined, 0)).toThrow(/--sweep_trials/)
  })
})

describe('trials', () => {
  test('share everything but their point, their seed and their folder', () => {
    const trials = trialsOf(settings({ sweep_seeds: [3, 4], max_steps: 9, run_name: 'mine' }))
    expect(trials.map(({ name }) => name)).toEqual([
      'beta-0.1_seed-3',
      'beta-0.1_seed-4',
      'beta-0.4_seed-3',
      'beta-0.4_seed-4',
    ])
    const shared = trials.map(({ settings: { beta: _, seed: __, output_dir: ___, run_name: ____, ...rest } }) => rest)
    expect(new Set(shared.map((one) => JSON.stringify(one))).size).toBe(1)
    expect(trials[2].settings).toMatchObject({
      beta: 0.4,
      seed: 3,
      max_steps: 9,
      output_dir: 'out/trials/beta-0.4_seed-3',
      run_name: 'mine beta-0.4_seed-3',
    })
    expect(showPoint(trials[2].point)).toBe('beta 0.4')
  })

  test('whose settings do not go together are refused by the name of the point', () => {
    const grid = settings({ sweep: ['loss_type=sigmoid,ipo', 'label_smoothing=0,0.1'] })
    expect(() => trialsOf(grid)).toThrow(/the point loss ipo, label_smoothing 0.1 cannot be trained: .*ignored by loss/)
  })

  test('with and without a reference are compared by log-probabilities only', () => {
    const sweep = ['loss_type=sigmoid,simpo']
    expect(() => trialsOf(settings({ sweep }))).toThrow(
      /loss sigmoid are differences.*loss simpo.*eval_logps\/accuracies/,
    )
    expect(trialsOf(settings({ sweep, metric: 'logps/accuracies' })).length).toBe(2)
    expect(trialsOf(settings({ sweep: ['loss_type=orpo,simpo'] })).length).toBe(2)
  })
})

test.each([
  [{ objective: 'sft' }, /held-out preferences/],
  [{ resume_changed: true }, /different settings/],
  [{ early_stopping_patience: 2 }, /the same updates/],
  [{ load_best_model_at_end: true }, /not each at its best/],
  [{ metric: 'entropy' }, /--greater_is_better.*eval_entropy/],
])('settings %j make no sense of a sweep', (more, message) => {
  expect(() => settings(more)).toThrow(message)
})
