import { expect, test } from 'vitest'
import { isOutOfMemory, ortMessage } from './ort-message.ts'

const PLACE = '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc'
const CALL = `${PLACE}:154 Status CudaCall(int) [with THRW = true; SUCCTYPE = cudaError] `

test.each([
  ['No supported adapters', 'No supported adapters', false],
  ['/src/a.cc:4 bool f() status was false. No supported adapters', 'No supported adapters', false],
  [
    `Exception during initialization: ${CALL}${CALL}CUDA failure 35: CUDA driver version is insufficient for CUDA runtime ` +
      'version ; GPU=-1 ; hostname=vm ; line=352 ; ',
    'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version',
    false,
  ],
  [`${CALL}CUDA failure 2: out of memory ; GPU=0 ; `, 'CUDA failure 2: out of memory', true],
  [
    `Non-zero status code returned while running Add node. Name:'' Status Message: ${PLACE}:360 void* ` +
      'BFCArena::AllocateRawInternal(size_t, bool) Failed to allocate memory for requested buffer of size 9437184\n',
    'Failed to allocate memory for requested buffer of size 9437184',
    true,
  ],
  [`x${'y'.repeat(400)}`, `x${'y'.repeat(299)}`, false],
])('what went wrong is told without its place in ONNX Runtime: %j', (message, expected, isMemory) => {
  expect(ortMessage(new Error(message))).toBe(expected)
  expect(isOutOfMemory(new Error(message))).toBe(isMemory)
})
