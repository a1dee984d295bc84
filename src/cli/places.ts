/** @file Arguments without a flag at the start of a command line, as the flags that they stand for. */

/** The first arguments stand for `names` in turn, and all after them for `rest`, up to the first flag or assignment. */
export function withPlaces(args: readonly string[], names: readonly string[], rest?: string): string[] {
  const isPlain = (arg: string): boolean => !arg.startsWith('--') && !/^\w+=/.test(arg)
  const end = args.findIndex((arg) => !isPlain(arg))
  const places = end < 0 ? args : args.slice(0, end)
  return args.flatMap((arg, at) => {
    const name = at < places.length ? (names[at] ?? rest) : undefined
    return name === undefined ? [arg] : [`--${name}`, arg]
  })
}
