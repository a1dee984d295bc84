/** @file The interpreter's kernels of norms over the last axis, in float64. */
import type { Kernel } from './kernels.ts'

export const rmsNorm: Kernel<'rmsNorm'> = ({ attributes, inputs: [x, weight], out, shape }) => {
  const width = shape[shape.length - 1]
  for (let start = 0; start < out.length; start += width) {
    let squares = 0
    for (let at = start; at < start + width; at++) squares += x.data[at] ** 2
    const inverse = 1 / Math.sqrt(squares / width + attributes.epsilon)
    for (let at = 0; at < width; at++) out[start + at] = x.data[start + at] * inverse * weight.data[at]
  }
}

export const layerNorm: Kernel<'layerNorm'> = ({ attributes, inputs: [x, weight, bias], out, shape }) => {
  const width = shape[shape.length - 1]
  for (let start = 0; start < out.length; start += width) {
    let total = 0
    for (let at = start; at < start + width; at++) total += x.data[at]
    const mean = total / width
    let squares = 0
    for (let at = start; at < start + width; at++) squares += (x.data[at] - mean) ** 2
    const inverse = 1 / Math.sqrt(squares / width + attributes.epsilon)
    for (let at = 0; at < width; at++) {
      out[start + at] = (x.data[start + at] - mean) * inverse * weight.data[at] + bias.data[at]
    }
  }
}
