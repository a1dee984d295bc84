/** @file Where passes over rows are computed: the processor, or a device that must be there. */
import { availableParallelism } from 'node:os'
import { UserError } from '../base/errors.ts'
import type { Backend } from '../engine/backend.ts'
import { ortDevice, withDevice } from '../engine/ort-device.ts'
import { builtProviders, probeProvider } from '../engine/probe.ts'
import { ortBackend } from '../engine/session.ts'
import type { DeviceName } from './device-settings.ts'

/** How to get a device that is not there. */
export const DEVICE_FIXES: Readonly<Record<Exclude<DeviceName, 'cpu'>, string>> = {
  webgpu:
    'install a graphics driver with Vulkan (Linux: the vendor’s driver or mesa-vulkan-drivers, and libvulkan1), Metal or ' +
    'Direct3D 12',
  cuda: 'install an NVIDIA driver, CUDA 12 or 13 and cuDNN 9 (docs/gpu.md), and run `stepdpo doctor --install_cuda cuda12` or `cuda13`',
}

/** Why a device cannot be computed on; undefined where it can. A small graph is really run, in a process of its own. */
export async function deviceProblem(name: DeviceName): Promise<string | undefined> {
  return builtProviders().includes(name) ? probeProvider(name) : 'the package for this system is built without it'
}

export interface Place {
  /** Of the processor; default all. */
  readonly threads?: number
  /** Default `cpu`. */
  readonly device?: DeviceName
}

/** @throws UserError where the device is not there, with how to get it. */
export async function openBackend({ threads = availableParallelism(), device = 'cpu' }: Place): Promise<Backend> {
  const host = ortBackend({ threads })
  if (device === 'cpu') return host
  const problem = await deviceProblem(device)
  if (problem === undefined) return withDevice(host, ortDevice(device))
  throw new UserError(
    `--device ${device} cannot be used: ${problem}. To get it: ${DEVICE_FIXES[device]}. Or --device cpu`,
  )
}
