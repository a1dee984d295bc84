/** @file How an ONNX model takes weights in the form in which they are kept: fed in parts, or held for MatMulNBits. */
import { type BlockTensor, blockSizes, unpackCodes } from './block-tensor.ts'
import type { Shape } from './dims.ts'
import { type Constant, DATA_TYPE, type Node, type Port } from './onnx-model.ts'
import type { Form, StoredPart } from './stored.ts'

/** Adds nodes and constants to a model, and gives the names of what they hold. */
export interface NodeWriter {
  node(op: string, inputs: readonly string[], attributes?: Node['attributes'], to?: Target): string
  ints(numbers: readonly number[]): string
  float(number: number): string
  byte(number: number): string
}

export interface Target {
  readonly domain?: string
  readonly name?: string
  /** The names of its other outputs. */
  readonly more?: readonly string[]
}

/** An input that is fed as it is kept. */
export interface StoredInput {
  readonly name: string
  /** [rows, columns]; the columns are a number. */
  readonly shape: Shape
  readonly form: Form
}

/** The name under which a part of a stored input is fed or held. */
export function partName(name: string, part: StoredPart['part']): string {
  return `${name} ${part}`
}

/** What is fed in the place of an input. */
export function storedPorts({ name, shape, form }: StoredInput): Port[] {
  if (form.storage !== 'blocks') return [{ name: partName(name, 'bits'), shape, kind: 'word' }]
  const { blocks, rowBytes } = blockSizes({ ...form, shape: [0, Number(shape[1])] })
  const perBlock = [shape[0], blocks, 1]
  return [
    { name: partName(name, 'packed'), shape: [shape[0], rowBytes], kind: 'byte' },
    { name: partName(name, 'scales'), shape: perBlock, kind: 'float' },
    ...(form.hasMinimums ? [{ name: partName(name, 'minimums'), shape: perBlock, kind: 'float' } as const] : []),
  ]
}

/** The nodes that make float32 of the parts, under the name of the input. */
export function writeStored(to: NodeWriter, { name, shape, form }: StoredInput): void {
  if (form.storage !== 'blocks') {
    const half = to.node('BitCast', [partName(name, 'bits')], { to: DATA_TYPE[form.storage] })
    to.node('Cast', [half], { to: DATA_TYPE.float }, { name })
    return
  }
  const { columns, blocks, width, zero } = blockSizes({ ...form, shape: [0, Number(shape[1])] })
  const codes = to.node('Cast', [unfolded(to, partName(name, 'packed'), form.bits)], { to: DATA_TYPE.float })
  const inBlocks = to.node('Reshape', [codes, to.ints([-1, blocks, form.block])])
  const scales = partName(name, 'scales')
  const values = form.hasMinimums
    ? to.node('Add', [to.node('Mul', [inBlocks, scales]), partName(name, 'minimums')])
    : to.node('Mul', [to.node('Sub', [inBlocks, to.float(zero)]), scales])
  const flat = to.ints([-1, width])
  if (width === columns) to.node('Reshape', [values, flat], {}, { name })
  else
    to.node('Slice', [to.node('Reshape', [values, flat]), to.ints([0]), to.ints([columns]), to.ints([1])], {}, { name })
}

function unfolded(to: NodeWriter, packed: string, bits: BlockTensor['bits']): string {
  if (bits === 8) return packed
  const first = to.node('BitwiseAnd', [packed, to.byte(15)])
  return to.node('Concat', [first, to.node('BitShift', [packed, to.byte(4)], { direction: 'RIGHT' })], { axis: 1 })
}

/** A matrix in blocks as MatMulNBits reads it: of two values in a byte, the first is the low half. */
export function blockConstants(name: string, tensor: BlockTensor): Constant[] {
  if (tensor.minimums !== undefined) throw new Error(`${name}: MatMulNBits takes no minimums`)
  const { rows, blocks } = blockSizes(tensor)
  const bytes = (tensor.block * tensor.bits) / 8
  return [
    { name: partName(name, 'packed'), shape: [rows, blocks, bytes], data: interleaved(tensor) },
    { name: partName(name, 'scales'), shape: [rows * blocks], data: tensor.scales },
  ]
}

function interleaved(tensor: BlockTensor): Uint8Array {
  const codes = unpackCodes(tensor)
  if (tensor.bits === 8) return codes
  return Uint8Array.from({ length: codes.length / 2 }, (_, at) => codes[2 * at] | (codes[2 * at + 1] << 4))
}
