/** @file Sizes of axes: a number, or a product with names that are known when a program runs, such as 'T' or '3*T'. */

export type Dim = number | string
export type Shape = readonly Dim[]

/** Values of named sizes, e.g. T → 512. */
export type Sizes = ReadonlyMap<string, number>

function factors(dim: Dim): { count: number; names: string[] } {
  if (typeof dim === 'number') return { count: dim, names: [] }
  let count = 1
  const names: string[] = []
  for (const part of dim.split('*')) {
    if (/^\d+$/.test(part)) count *= Number(part)
    else names.push(part)
  }
  return { count, names }
}

/** The product of sizes in its one canonical spelling: the number first, then the names in order. */
export function product(dims: Shape): Dim {
  let count = 1
  const names: string[] = []
  for (const dim of dims) {
    const part = factors(dim)
    count *= part.count
    names.push(...part.names)
  }
  if (names.length === 0) return count
  names.sort()
  return [...(count === 1 ? [] : [count]), ...names].join('*')
}

/** The names a size is made of. */
export function namesOf(dim: Dim): readonly string[] {
  return factors(dim).names
}

/** The number that a size stands for. */
export function sizeOf(dim: Dim, sizes: Sizes): number {
  const { count, names } = factors(dim)
  let size = count
  for (const name of names) {
    const value = sizes.get(name)
    if (value === undefined) throw new Error(`size ${name} is not known; known are ${[...sizes.keys()].join(', ')}`)
    size *= value
  }
  return size
}

export function shapeOf(shape: Shape, sizes: Sizes): number[] {
  return shape.map((dim) => sizeOf(dim, sizes))
}

/** The number of elements of a shape in numbers. */
export function elementCount(shape: readonly number[]): number {
  let count = 1
  for (const size of shape) count *= size
  return count
}

export function showShape(shape: Shape): string {
  return `[${shape.join(', ')}]`
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis])
}

/** The shape two operands have together, as in NumPy: equal sizes, or 1, or missing in front. Undefined where they clash. */
export function broadcastShapes(a: Shape, b: Shape): Dim[] | undefined {
  const rank = Math.max(a.length, b.length)
  const shape: Dim[] = []
  for (let axis = 0; axis < rank; axis++) {
    const left = a[axis - rank + a.length] ?? 1
    const right = b[axis - rank + b.length] ?? 1
    if (left !== right && left !== 1 && right !== 1) return undefined
    shape.push(left === 1 ? right : left)
  }
  return shape
}
