/** @file The port of a device: tensors that lie in its memory, and graphs that run on them there. */
import type * as ort from 'onnxruntime-node'
import type { Graph, Tensor, Tensors } from './backend.ts'
import type { StoredTensor } from './stored.ts'

/** Numbers in a device's memory, until they are freed. */
export interface DeviceTensor {
  readonly shape: readonly number[]
  readonly onDevice: ort.Tensor
  free(): void
}

export type DeviceFeeds = Readonly<Record<string, Tensor | StoredTensor | DeviceTensor>>
export type DeviceTensors = Readonly<Record<string, DeviceTensor>>

export interface Device {
  readonly name: string
  /** Whether outputs can stay there. If not, constants belong to the graph that they are first fed to. */
  readonly keepsOutputs: boolean
  /** Says that a tensor never changes: where it is first fed it is brought to the device as float32, and stays there. */
  keep(tensor: Tensor | StoredTensor): void
  /** Brings a tensor to the device. The caller frees it. */
  put(tensor: Tensor): Promise<DeviceTensor>
  /**
   * Runs a graph once. Outputs that are named in `into` are written there; all others stay on the device, and are the
   * caller's to free.
   */
  run(graph: Graph, feeds: DeviceFeeds, into?: Tensors): Promise<DeviceTensors>
  dispose(): Promise<void>
}

export function isOnDevice(tensor: DeviceFeeds[string]): tensor is DeviceTensor {
  return 'onDevice' in tensor
}
