/** ONNX Runtime's files for CUDA by pip, from a folder of packages on this machine. Needs Python with pip. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runtimeVersion } from '../src/engine/probe.ts'
import { installByPip } from '../src/recipe/install-cuda.ts'
import { folderMaker } from './folders.ts'

const newFolder = folderMaker()
const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0
if (!hasPip) console.log('tests of installing by pip are skipped: no python3 with pip')

const PACK = `
import sys, zipfile
folder, version, *names = sys.argv[1:]
info = f'onnxruntime_gpu-{version}.dist-info'
with zipfile.ZipFile(f'{folder}/onnxruntime_gpu-{version}-cp312-cp312-manylinux_2_28_x86_64.whl', 'w') as wheel:
    for name in names: wheel.writestr(f'onnxruntime/capi/{name}', f'this is {name}')
    wheel.writestr(f'{info}/METADATA', f'Metadata-Version: 2.1\\nName: onnxruntime-gpu\\nVersion: {version}\\n')
    wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: cp312-cp312-manylinux_2_28_x86_64\\n')
    wheel.writestr(f'{info}/RECORD', '')
`
const SHARED = 'libonnxruntime_providers_shared.so'
const CUDA = 'libonnxruntime_providers_cuda.so'

/** The settings of pip for a folder with this package and nothing else. */
function packed(version: string, names: readonly string[]): NodeJS.ProcessEnv {
  const folder = newFolder()
  execFileSync('python3', ['-c', PACK, folder, version, ...names])
  return { ...process.env, STEPDPO_PYTHON: '', PIP_NO_INDEX: '1', PIP_FIND_LINKS: folder }
}

describe.skipIf(!hasPip)('files for CUDA by pip', () => {
  test('its two libraries come to those of the package, and nothing else', async () => {
    const folder = newFolder()
    await installByPip(folder, packed(runtimeVersion(), [SHARED, CUDA, 'libonnxruntime_providers_tensorrt.so']))
    expect(readdirSync(folder).sort()).toEqual([CUDA, SHARED])
    expect(readFileSync(join(folder, CUDA), 'utf8')).toBe(`this is ${CUDA}`)
  })

  test.each([
    ['of another version', '1.2.3', [SHARED, CUDA], /pip install .* ended with 1: see above$/],
    [
      'without the library',
      runtimeVersion(),
      [SHARED],
      /expected libonnxruntime_providers_cuda\.so in onnxruntime-gpu==/,
    ],
  ])('a package %s is refused, and nothing is left of it', async (_, version, names, message) => {
    const folder = newFolder()
    await expect(installByPip(folder, packed(version, names))).rejects.toThrow(message)
    expect(readdirSync(folder)).toEqual([])
  })

  test('a Python that is not there is told', async () => {
    const environment = { ...process.env, STEPDPO_PYTHON: '/nowhere/python' }
    await expect(installByPip(newFolder(), environment)).rejects.toThrow(/\/nowhere\/python .*ENOENT/)
  })
})
