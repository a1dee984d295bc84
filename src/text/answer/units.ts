/** @file The units of which two that differ make two answers differ. Other words behind a number are looked over. */

const NAMES: readonly string[] = [
  '$ dollar dollars usd buck bucks',
  '€ euro euros eur',
  '£ gbp',
  '¢ cent cents',
  '% percent',
  '° degree degrees deg',
  'rad radian radians',
  'mm millimeter millimeters millimetre millimetres',
  'cm centimeter centimeters centimetre centimetres',
  'm meter meters metre metres',
  'km kilometer kilometers kilometre kilometres',
  'in inch inches',
  'ft foot feet',
  'yd yard yards',
  'mi mile miles',
  'mg milligram milligrams',
  'g gram grams',
  'kg kilogram kilograms',
  'oz ounce ounces',
  'lb lbs pound pounds',
  'ton tons',
  'ml milliliter milliliters millilitre millilitres',
  'l liter liters litre litres',
  'pint pints',
  'quart quarts',
  'gal gallon gallons',
  's sec secs second seconds',
  'min mins minute minutes',
  'h hr hrs hour hours',
  'day days',
  'week weeks',
  'month months',
  'yr yrs year years',
  'kb',
  'mb',
  'gb',
  'mph',
  'kph',
]

const UNITS: ReadonlyMap<string, string> = new Map(
  NAMES.flatMap((line) => {
    const names = line.split(' ')
    return names.map((name) => [name, names[0]] as const)
  }),
)

/** Whether a run of letters is a unit and no product of variables: two letters or more. */
export function isUnit(letters: string): boolean {
  return letters.length > 1 && UNITS.has(letters)
}

const POWERS: ReadonlyMap<string, string> = new Map([
  ['square', '2'],
  ['sq', '2'],
  ['squared', '2'],
  ['cubic', '3'],
  ['cubed', '3'],
])

/** The known units among the words of "square cm", "cm ^ 2", "km / h", "_8", in order; '' where none is known. */
export function unitOf(words: readonly string[]): string {
  const known = words.flatMap((word, at) => {
    const name = word.startsWith('_') ? word : UNITS.get(word)
    if (name === undefined) return []
    const power = POWERS.get(words[at - 1] ?? '') ?? POWERS.get(words[at + 1] ?? '')
    return `${name}${words[at + 1] === '^' ? words[at + 2] : (power ?? '')}`
  })
  return [...new Set(known)].sort().join(' ')
}
