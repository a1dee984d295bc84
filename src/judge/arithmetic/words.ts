/** @file Words that change what the numbers beside them mean. */

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(' '))
}

/** A minus after one of these is a sign: "is -3 + 5". */
export const BEFORE_SIGN = words(
  'is are was get gets have has gives give equals equal becomes be to so then and thus therefore hence since because that find obtain calculate compute as',
)

/** A sum that follows one of these is a part of a larger one that is written in words. */
export const BEFORE_PART = words(
  'of times plus minus less over per twice thrice double triple half by than from subtracting adding add subtract square squared root cube absolute negative log sin cos tan base mod modulo digit two three four five six seven eight nine ten third quarter fourth fifth if suppose assume whether unless not more fewer sum product difference dozen hundred thousand million hypothetical say choose',
)

/** These count or scale what they follow, or carry a sum on. */
export const AFTER_PART = words(
  'dozen dozens pair pairs couple hundred hundreds thousand thousands million millions billion trillion half halves third thirds quarter quarters fourth fourths fifth fifths tenth tenths hundredths percent percentage points gross score of times plus minus less over per divided multiplied squared cubed choose mod modulo remainder r rem k m b to power each-way pm am',
)

/** Words that go on with the sentence: what stands behind them is another expression. */
export const PROSE = words(
  'and or to is are was were be so then which that thus therefore hence since because but while where when if as from at on gives equals we you he she they it the this',
)

/** Units of one family are converted into each other: an equation that holds two of them is not about numbers alone. */
export const MEASURES = words(
  'second seconds sec secs minute minutes min mins hour hours hr hrs day days week weeks month months year years decade decades century centuries ' +
    'inch inches in foot feet ft yard yards yd mile miles mi mm cm km millimeter millimeters centimeter centimeters meter meters metre metres kilometer kilometers ' +
    'ounce ounces oz pound pounds lb lbs ton tons gram grams kg mg kilogram kilograms ' +
    'ml milliliter milliliters liter liters litre litres cup cups pint pints quart quarts gallon gallons gal tablespoon tablespoons tbsp teaspoon teaspoons tsp ' +
    'cent cents penny pennies nickel nickels dime dimes quarter quarters dollar dollars usd euro euros ' +
    'degree degrees radian radians rad mph kph fps',
)

/** Coins are counted and sums of money are written in other units. */
export const COINS = words('cent penny pennie nickel dime quarter')

/** Letters that directly follow a number as its unit. */
export const GLUED_UNITS = words('cm mm km kg mg ml oz lb lbs ft in hr hrs min mins sec mph mi usd gb mb kb tb')

/** Two-letter words that are words of prose or units, not products of two variables. */
export const SHORT_WORDS = words(
  'cm mm km kg mg ml oz lb ft hr mi in is so to of or as at by on we he it be if an do go my no up us am pm',
)

/**
 * Where one of these stands in the sentence of an equation or in the next, the equation may not be meant: the
 * author doubts it, rounds, or counts otherwise.
 */
export const DOUBT =
  /\b(?:not|no|never|cannot|can't|isn't|doesn't|don't|aren't|incorrect|wrong|wrongly|false|error|mistake|mistaken|mistakenly|contradict\w*|impossible|invalid|wait|instead|should|however|inconsistent|unlike|fails?|round\w*|approximat\w*|about|nearest|roughly|estimat\w*|closest|almost|truncat\w*|mod|modulo|pmod|bmod|remainder|base-?\d*|binary|octal|hexadecimal|suppose|assum\w+|hypothe\w*|digits?|whole)\b|≠|\\neq?\b|\\not\b|✗|✘|❌|\?|\\pmod|\\mod|\\bmod|≡|\\equiv/giu

/** Where one of these stands in the sentence of an assignment, its value is not one for the rest of the solution. */
export const CASE =
  /\b(?:if|when|whenever|where|case|cases|or|either|for|at|try|trying|test\w*|consider\w*|possible|possibl[ey]|could|might|set|setting|any|each|every|plug\w*|substitut\w*|guess|option|either|would|check\w*)\b|\\pm|±/giu

/** A problem that speaks of these may add and multiply in its own way. */
export const OTHER_ARITHMETIC =
  /\bbase[ -]?(?:\$|\\\(|\d|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|sixteen|[bnk]\b)|\d\$?_\{?\d|\b(?:binary|octal|hexadecimal|modulo|mod|modular|cryptarithm\w*)\b|\\p?mod|\\equiv|≡/iu

/** A problem that says what an operation means, and writes it between letters. */
export const DEFINITION = /\b(?:operat(?:ion|or)s?|defin\w*|means)\b/iu
export const DEFINED =
  /[a-z]\s{0,3}(?:\*|\\ast|\\cdot|\\times|\\div|÷|×|\/|\^|!)\s{0,3}\{?[a-z]?\}?\s{0,3}\$?\s{0,3}=/iu
