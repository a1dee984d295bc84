/** What is done with a trained adapter, merging, measuring, handing to Ollama; and doctor. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { makeTinyRow } from '../scripts/tiny-data.ts'
import { writeTinyModel } from '../scripts/tiny-model.ts'
import { checkLines } from '../src/cli/adapter-lines.ts'
import { doctorLines } from '../src/cli/doctor-command.ts'
import { toBfloat16 } from '../src/engine/half.ts'
import { ortBackend } from '../src/engine/session.ts'
import { compareLogits } from '../src/eval/logit-change.ts'
import { stopTexts } from '../src/interop/modelfile.ts'
import { parseSize } from '../src/interop/shards.ts'
import { PRM_FILE } from '../src/judge/verdicts.ts'
import { loadAdapter, saveAdapter } from '../src/model/adapter-file.ts'
import { loadConfig, loadModel } from '../src/model/load.ts'
import { type Adapter, createAdapter } from '../src/model/lora.ts'
import { makeMachine } from '../src/model/machine.ts'
import { logitsOf, weightLayers } from '../src/model/pass.ts'
import { sequenceRow } from '../src/model/row.ts'
import { openSafetensors } from '../src/model/safetensors.ts'
import { namedWeights } from '../src/model/weights.ts'
import { checkAdapterSchema, mergeSchema, modelfileSchema } from '../src/recipe/adapter-settings.ts'
import { checkAdapter } from '../src/recipe/check-adapter.ts'
import { examine } from '../src/recipe/doctor.ts'
import { doctorSchema } from '../src/recipe/doctor-settings.ts'
import { merge } from '../src/recipe/merge.ts'
import { modelfile } from '../src/recipe/modelfile.ts'
import { loadTokenizer } from '../src/text/tokenizer.ts'
import { buildCommand, type CommandLine } from './cli-run.ts'
import { folderMaker } from './folders.ts'
import { committedPath, oraclePath, oracleTensors, relativeError } from './oracle.ts'
import { isSlow } from './slow.ts'

const newFolder = folderMaker()
const folder = newFolder()
const site = { folder, model: join(folder, 'model') }
writeTinyModel(site.model, 0)

type Given = Parameters<typeof mergeSchema.parse>[0] & object
const merged = (settings: Given) => merge(mergeSchema.parse(settings))
const llama = { base_model: oraclePath('models/llama'), adapter: oraclePath('peft/llama') }

/** Faster than comparing number by number. */
const sameBytes = (a: ArrayBufferView, b: ArrayBufferView): boolean =>
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength))

const settings = { rank: 4, alpha: 8, dropout: 0, rslora: false, targets: ['q_proj', 'up_proj'] } as const

/** An adapter for the site's model with this number all over its B. */
function writeAdapter(b: number, more: Partial<Adapter['settings']> = {}): string {
  const adapter = createAdapter(loadConfig(site.model).config, { ...settings, ...more }, 1)
  for (const tensors of adapter.layers) {
    for (const [name, { data }] of Object.entries(tensors)) if (name.endsWith('lora_B.weight')) data.fill(b)
  }
  const folder = newFolder()
  saveAdapter(folder, adapter, site.model)
  return folder
}

describe('merge', () => {
  const others = ['llama', 'llama-qv', 'llama-untied', 'qwen3', 'phi'].map((name) => [name, name.replace('-qv', '')])
  test.each([['llama-rslora', 'llama'], ['phi3', 'phi3'], ...(isSlow ? others : [])])(
    'of %s leaves a folder whose logits are those of PEFT',
    async (name, base) => {
      const output = join(newFolder(), 'merged')
      const adapter = oraclePath(`peft/${name}`)
      merged({ base_model: oraclePath(`models/${base}`), adapter, output_dir: output, max_shard_size: '60KB' })
      const { config, weights } = loadModel(output)
      const machine = makeMachine(ortBackend({ threads: 1 }), config, weights)
      const reference = oracleTensors(`peft/${name}/reference.safetensors`)
      const ids = reference.get('ids.0')?.data ?? []
      const { data } = await logitsOf(machine, sequenceRow(ids), weightLayers(machine))
      for (const kind of ['merged_logits.0', 'adapter_logits.0']) {
        expect(relativeError(data, reference.get(kind)?.data ?? [])).toBeLessThan(5e-5)
      }
      await machine.dispose()
    },
  )

  test('spreads tensors over files as transformers does, with the same index', () => {
    const base = oraclePath('models/llama-untied')
    const output = newFolder()
    merged({ base_model: base, adapter: oraclePath('peft/llama-untied'), output_dir: output, max_shard_size: '120KB' })
    const name = 'model.safetensors.index.json'
    expect(readFileSync(join(output, name), 'utf8')).toBe(readFileSync(join(base, name), 'utf8'))
    const shapes = (folder: string) =>
      readdirSync(folder)
        .filter((file) => file.endsWith('.safetensors') && file.startsWith('model'))
        .map((file) => [file, statSync(join(folder, file)).size])
    expect(shapes(output)).toEqual(shapes(base))
  })

  test('in bfloat16 rounds once, to the nearest, and says how much of the adapter that costs', () => {
    const [exact, half] = [newFolder(), newFolder()]
    merged({ ...llama, output_dir: exact })
    const report = merged({ ...llama, output_dir: half, dtype: 'bfloat16' })
    const file = openSafetensors(join(half, 'model.safetensors'))
    const changed: number[] = []
    for (const [name, { data }] of namedWeights(loadModel(exact).weights)) {
      expect(file.tensors.get(name)?.dtype).toBe('BF16')
      expect(sameBytes(file.read(name), toBfloat16(data))).toBe(true)
      changed.push(data.length)
    }
    file.close()
    expect(changed.length).toBe(report.tensors)
    // 8 bits of a weight are kept: 2^-9 of it is lost at most; the adapter of the fixture is about as large as the weights.
    expect(report.rounding).toBeGreaterThan(2 ** -12)
    expect(report.rounding).toBeLessThan(2 ** -6)
    const config = JSON.parse(readFileSync(join(half, 'config.json'), 'utf8'))
    expect(config).toMatchObject({ dtype: 'bfloat16', torch_dtype: 'bfloat16', architectures: ['LlamaForCausalLM'] })
    expect(readFileSync(join(half, 'README.md'), 'utf8')).toMatch(/\| dtype \| bfloat16 \|\n\| rounding/)
  })

  test('keeps the dtype of the base model unless told', () => {
    const base = oraclePath('models/mistral-fp16')
    const adapter = newFolder()
    saveAdapter(adapter, createAdapter(loadConfig(base).config, settings, 1), 'base')
    const output = newFolder()
    expect(merged({ base_model: base, adapter, output_dir: output })).toMatchObject({ dtype: 'float16', rounding: 0 })
    // B is zero: the weights are those of the base, bit for bit.
    const [before, after] = [base, output].map((folder) => openSafetensors(join(folder, 'model.safetensors')))
    for (const name of before.tensors.keys()) expect(sameBytes(after.read(name), before.read(name))).toBe(true)
    for (const file of [before, after]) file.close()
  })

  test('takes along what makes a model usable, and how a process reward model reads, but no link out of the folder', () => {
    const [base, output] = [newFolder(), newFolder()]
    cpSync(site.model, base, { recursive: true })
    writeFileSync(join(base, 'optimizer.pt'), 'x')
    const adapter = writeAdapter(0.1)
    writeFileSync(join(adapter, PRM_FILE), '{}')
    merged({ base_model: base, adapter, output_dir: output })
    const names = readdirSync(output)
    expect(names).toEqual(expect.arrayContaining(['tokenizer.json', 'tokenizer_config.json', PRM_FILE, 'README.md']))
    expect(names).not.toContain('optimizer.pt')
    expect(loadTokenizer(output).encode('3 + 4')).toEqual(loadTokenizer(base).encode('3 + 4'))
    symlinkSync(oraclePath('manifest.json'), join(base, 'LICENSE'))
    expect(() => merged({ base_model: base, adapter, output_dir: join(output, 'next') })).toThrow(/LICENSE is a link/)
  })

  test('replaces nothing unless told, and then only a model that it does not need', () => {
    const output = newFolder()
    merged({ ...llama, output_dir: output })
    const before = readFileSync(join(output, 'model.safetensors'))
    expect(() => merged({ ...llama, output_dir: output })).toThrow(/is not empty: say --overwrite_output_dir/)
    const again = { ...llama, output_dir: output, overwrite_output_dir: true }
    merged({ ...again, adapter: oraclePath('peft/llama-qv') })
    expect(readFileSync(join(output, 'model.safetensors')).equals(before)).toBe(false)
    expect(() => merged({ ...again, base_model: output })).toThrow(/holds .*, which is needed/)
    mkdirSync(join(output, 'other'))
    expect(() => merged(again)).toThrow(/holds more than a model/)
  })

  test('of numbers that the dtype does not hold leaves nothing', () => {
    const place = newFolder()
    const adapter = writeAdapter(1e6)
    const give = () => merged({ base_model: site.model, adapter, output_dir: join(place, 'out'), dtype: 'float16' })
    expect(give).toThrow(/which float16 cannot: choose another --dtype/)
    expect(readdirSync(place)).toEqual([])
  })

  test('sizes of files are powers of ten, as in transformers', () => {
    expect(['5GB', '500MB', '1.5 kb', '7', '0GB', 'much', '-1MB'].map(parseSize)).toEqual([
      ...[5e9, 5e8, 1500, 7],
      ...[undefined, undefined, undefined],
    ])
  })
})

describe('check-adapter', () => {
  const check = (adapter: string, base_model = site.model) =>
    checkAdapter(
      checkAdapterSchema.parse({ base_model, adapter, prompt: 'What is 3 + 4?', max_new_tokens: 4, threads: 1 }),
    )

  test('says what changes, and by how much', async () => {
    const found = await check(writeAdapter(0.05))
    expect(found).toMatchObject({ problem: null, rank: 4, alpha: 8, scale: 2, made_for: site.model })
    expect(checkLines(found, undefined).join('\n')).not.toContain('made for')
    const other = checkLines({ ...found, made_for: 'hub/other' }, undefined)
    expect(other[1]).toBe('made for other: is model the same model?')
    expect(found.modules.map(({ name, count, changing }) => [name, count, changing])).toEqual([
      ['q_proj', 3, 3],
      ['up_proj', 3, 3],
    ])
    const [{ maxDifference, meanDifference, kl, maxKl, tokens }] = found.texts
    expect(maxDifference).toBeGreaterThan(meanDifference)
    expect(maxKl).toBeGreaterThan(kl)
    expect(kl).toBeGreaterThan(0)
    expect(tokens).toBeGreaterThan(15)
  })

  test('finds the size of a change as the weights have it after merging', async () => {
    const adapter = writeAdapter(0.05)
    const output = newFolder()
    merged({ base_model: site.model, adapter, output_dir: output })
    const [before, after] = [site.model, output].map((folder) => loadModel(folder).weights.layers)
    const name = 'self_attn.q_proj.weight'
    let [change, weight] = [0, 0]
    before.forEach((tensors, layer) => {
      tensors[name].data.forEach((value, at) => {
        change += (after[layer][name].data[at] - value) ** 2
        weight += value ** 2
      })
    })
    expect((await check(adapter)).modules[0].size).toBeCloseTo(Math.sqrt(change / weight), 5)
  })

  test('finds the adapter that changes nothing, and the damaged one', async () => {
    const idle = await check(writeAdapter(0))
    expect(idle.problem).toMatch(/changes nothing: B is zero in every module/)
    expect(idle.texts[0]).toMatchObject({ maxDifference: 0, kl: 0, topChanges: 0, base: idle.texts[0].adapted })
    expect((await check(writeAdapter(Number.NaN))).problem).toMatch(
      /factors of q_proj hold numbers that are not finite/,
    )
    expect((await check(writeAdapter(1e-30))).problem).toMatch(/changes no logit of these texts/)
  })

  test('of an adapter of another model says in what it does not fit', async () => {
    await expect(check(committedPath('peft/llama'))).rejects.toThrow(
      /does not fit .*: .*expected a tensor '.*lora_A.weight' \[4, 64\], found \[4, 48\]/,
    )
  })

  test('compares logits as the definitions say', () => {
    // Two tokens, two words: p = (½, ½), then (¾, ¼); q = (½, ½), then (¼, ¾).
    const first = Float64Array.of(0, 0, Math.log(3), 0)
    const second = Float64Array.of(2, 2, 0, Math.log(3))
    const { tokens, topChanges, ...numbers } = compareLogits(first, second, 2)
    expect({ tokens, topChanges }).toEqual({ tokens: 2, topChanges: 1 })
    expect(numbers.maxDifference).toBe(2)
    expect(numbers.meanDifference).toBeCloseTo((4 + 2 * Math.log(3)) / 4, 12)
    expect(numbers.maxKl).toBeCloseTo(0.5 * Math.log(3), 12) // ¾ log 3 − ¼ log 3
    expect(numbers.kl).toBeCloseTo(0.25 * Math.log(3), 12)
  })
})

describe('a Modelfile', () => {
  /** The site's model with another chat template. */
  function withTemplate(template: string): string {
    const folder = newFolder()
    cpSync(site.model, folder, { recursive: true })
    writeFileSync(join(folder, 'chat_template.jinja'), template)
    return folder
  }
  const text = (base_model: string, more: object = {}) =>
    modelfile(modelfileSchema.parse({ base_model, from: 'x', ...more }))
  const chatml =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}" +
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

  test('has the template of a model that talks ChatML, and the texts that end an answer', () => {
    const model = withTemplate(chatml)
    expect(text(model)).toBe(
      'FROM x\n# ChatML\nTEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n' +
        '{{ end }}<|im_start|>assistant\n"""\nPARAMETER stop "<|end|>"\n',
    )
    expect(stopTexts(loadTokenizer(model))).toEqual(['<|end|>'])
  })

  test('says what the template says where nobody does', () => {
    const greeted = `{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}{% endif %}${chatml}`
    expect(text(withTemplate(greeted))).toContain('assistant\n"""\nSYSTEM """Be kind."""\n')
    expect(text(withTemplate(greeted.replace('Be kind.', 'Say """.')))).not.toMatch(/^(TEMPLATE|SYSTEM)/m)
  })

  test.each([
    ['its own words', undefined],
    ['no system messages', `{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}${chatml}`],
    ['ChatML that trims an answer', chatml.replace('m.content', "(m.content if m.role == 'user' else m.content[1:])")],
  ])('of a model with %s has no template, and says so', (_, template) => {
    const found = text(template === undefined ? site.model : withTemplate(template))
    expect(found).not.toMatch(/^TEMPLATE/m)
    expect(found).toMatch(/^# No TEMPLATE/m)
  })

  test('names an adapter only where Ollama computes what it computes', () => {
    const adapter = writeAdapter(0.1)
    expect(text(site.model, { adapter })).toContain(`FROM x\nADAPTER ${adapter}\n`)
    expect(() => text(site.model, { adapter: writeAdapter(0.1, { rslora: true }) })).toThrow(
      /use_rslora.*Merge it instead/,
    )
    expect(() => text(site.model, { adapter: writeAdapter(0.1, { alpha: 2.5 }) })).toThrow(
      /lora_alpha as a whole number/,
    )
  })

  test('stands beside merged weights that ask for it', () => {
    const output = newFolder()
    const asked = { base_model: withTemplate(chatml), adapter: writeAdapter(0.1), output_dir: output, modelfile: true }
    expect(merged(asked)).not.toHaveProperty('note')
    expect(readFileSync(join(output, 'Modelfile'), 'utf8')).toMatch(/^FROM \.\n# ChatML\n/)
  })
})

test('doctor writes a line for each check, its remedy below it, areas apart', () => {
  const lines = doctorLines(
    [
      { area: 'machine', name: 'node', state: 'ok', value: '20' },
      { area: 'engine', name: 'cuda', state: 'absent', value: 'none', fix: 'get it' },
      { area: 'engine', name: 'cpu', state: 'failed', value: 'broken', fix: 'mend it' },
    ],
    false,
  )
  expect(lines).toEqual([
    ...['machine', '✓ node  20', ''],
    ...['engine', '· cuda  none', '        → get it', '✗ cpu   broken', '        → mend it'],
  ])
})

describe.runIf(isSlow)('as commands', () => {
  let command: CommandLine

  beforeAll(() => {
    command = buildCommand(site.folder)
    writeFileSync(join(site.folder, 'steps.jsonl'), `${JSON.stringify(makeTinyRow(0, 0))}\n`)
  })

  test('merge and check-adapter print what they did, as text and as JSON', async () => {
    const [changing, idle] = [writeAdapter(0.1), writeAdapter(0)]
    const common = ['--base_model', 'model', '--adapter']
    const done = await command.run(['merge', ...common, changing, '--output_dir', 'whole', '--dtype', 'float16'])
    expect(done.stderr).toBe('')
    expect(done.stdout).toMatch(
      /^merged 6 of \d+ tensors, float16, [\d.]+ MB: whole\n {2}model\.safetensors {2}.*\nrounding/,
    )
    const again = await command.run(['merge', ...common, changing, '--output_dir', 'whole'])
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/^stepdpo: --output_dir whole is not empty/)])
    const size = await command.run(['merge', ...common, changing, '--output_dir', 'other', '--max_shard_size', 'huge'])
    expect([size.code, existsSync(join(site.folder, 'other'))]).toEqual([2, false])

    const checked = await command.run(['check-adapter', ...common, changing, '--max_new_tokens', '4', '--json'])
    expect([checked.code, checked.stderr]).toEqual([0, ''])
    expect(JSON.parse(checked.stdout)).toMatchObject({ problem: null, rank: 4 })
    const none = await command.run([
      'check-adapter',
      ...common,
      idle,
      '--dataset_path',
      'steps.jsonl',
      '--max_new_tokens',
      '4',
    ])
    expect(none.code).toBe(1)
    expect(none.stdout).toMatch(/q_proj +0\/3 +0\n/)
    expect(none.stderr).toMatch(/^stepdpo: .*: the adapter changes nothing: B is zero/)

    const misfit = ['check-adapter', '--base_model', 'model', '--adapter', oraclePath('peft/llama'), '--json']
    const { code, stdout } = await command.run(misfit)
    expect([code, JSON.parse(stdout).problem]).toEqual([1, expect.stringMatching(/does not fit model/)])

    const talk = await command.run(['modelfile', ...common, changing])
    expect(talk.stdout).toContain(`FROM ${site.model}\nADAPTER ${changing}\n`)
  })

  test.each([
    ['merge', mergeSchema],
    ['check-adapter', checkAdapterSchema],
    ['modelfile', modelfileSchema],
    ['doctor', doctorSchema],
  ])('%s --help names every flag', async (name, schema) => {
    const { stdout } = await command.run([name, '--help'])
    for (const key of Object.keys(schema.shape)) expect(stdout).toMatch(new RegExp(`^  --${key} `, 'm'))
  })

  test('doctor runs every provider, tells no secret, and fails where something needed is missing', async () => {
    const environment = { OPENAI_API_KEY: 'sk-secret', HF_TOKEN: 'hf-secret', STEPDPO_PYTHON: '/nowhere/python' }
    const well = await command.run(['doctor', '--base_model', 'model'], { environment })
    expect([well.code, well.stderr]).toEqual([0, ''])
    for (const line of [
      /^✓ device cpu +a small session computes right$/m,
      /^✓ token of the Hub +by HF_TOKEN$/m,
      /^✓ tokenizer/m,
    ]) {
      expect(well.stdout).toMatch(line)
    }
    expect(well.stdout).toMatch(/^· \/nowhere\/python +none that runs\n +→ .*install Python 3/m)
    expect(well.stdout).not.toContain('secret')
    const ill = await command.run(['doctor', '--base_model', 'nothing', '--json'], { environment })
    expect([ill.code, JSON.parse(ill.stdout).ok]).toEqual([1, false])
    expect(ill.stderr).toMatch(/^stepdpo: .*: configuration\n/)
  })

  test('every check that is not well says how to mend it', async () => {
    const checks = await examine(doctorSchema.parse({ base_model: 'nothing', online: true }), {
      HF_ENDPOINT: 'http://127.0.0.1:1',
    })
    const open = checks.filter(({ state }) => state !== 'ok')
    expect(open.map(({ area }) => area)).toEqual(expect.arrayContaining(['model', 'environment', 'network']))
    expect(open.filter(({ fix }) => fix === undefined)).toEqual([])
  })
})

const smol = fileURLToPath(new URL('../../shared/models/SmolLM2-135M-Instruct', import.meta.url))

describe.runIf(isSlow && existsSync(smol))('of a model that is a GGUF file only', () => {
  test('merge writes the tokenizer that stands in its metadata', () => {
    const [name] = readdirSync(smol).filter((file) => file.endsWith('.gguf'))
    const base = join(smol, name)
    const [adapter, output] = [newFolder(), newFolder()]
    const targets = ['q_proj']
    const made: Adapter = createAdapter(loadConfig(base).config, { ...settings, targets }, 1)
    saveAdapter(adapter, made, base)
    expect(loadAdapter(adapter, loadConfig(base).config).settings.targets).toEqual(targets)
    const report = merged({ base_model: base, adapter, output_dir: output, dtype: 'float16', max_shard_size: '100MB' })
    expect(report.files).toContain('model-00003-of-00003.safetensors')
    const [before, after] = [loadTokenizer(base), loadTokenizer(output)]
    const text = 'Let x = 12,345.6.\n\n  Then 2x — “twice” — is <|im_end|> 24691.2 ½'
    expect(after.encode(text)).toEqual(before.encode(text))
    expect(after.decode(after.encode(text))).toBe(before.decode(before.encode(text)))
    const talk = [{ role: 'user', content: 'Why?' }]
    expect(after.chatPrompt(talk)).toEqual(before.chatPrompt(talk))
    expect([after.eosIds, after.endOfTurnId]).toEqual([before.eosIds, before.endOfTurnId])
    expect(loadConfig(output).config).toEqual(loadConfig(base).config)
  })
})
