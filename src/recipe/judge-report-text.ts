/** @file The report on a judge as Markdown, which reads as text too. */
import type { BaselineName } from '../eval/baselines.ts'
import type { Estimate } from '../eval/interval.ts'
import type { JudgeReport } from '../eval/judge-report.ts'
import { PROCESSBENCH_PUBLISHED } from '../eval/published.ts'
import { agreementLines } from './agreement-text.ts'

const BASELINE_NAMES: { readonly [N in BaselineName]: string } = {
  constant: 'always "no error"',
  uniform: 'any step or none, at random',
  prior: 'draws as the labels are distributed',
  'best-blind': 'no error or the commonest step, in the best proportion',
  'final-answer-uniform': 'knows the final answer, guesses the step',
  'final-answer-middle': 'knows the final answer, says the middle step',
}

function percent(value: number | null): string {
  return value === null ? '–' : (100 * value).toFixed(1)
}

function withInterval({ value, low, high }: Estimate): string {
  return value === null ? 'not defined' : `${percent(value)} [${percent(low)}, ${percent(high)}]`
}

function firstErrorLines({ firstErrors, baselines, threshold, fitted }: JudgeReport, judge: string): string[] {
  if (firstErrors === null) return []
  const { rows, scored, abstained, failed, erroneous, correct } = firstErrors
  return [
    '## The first wrong step',
    '',
    `${rows} rows: ${scored} with a verdict, ${abstained} abstained, ${failed} failed (the last two count as wrong).`,
    '',
    '| in percent [95 % interval over rows] | rows with an error | rows without | F1 |',
    '|---|---|---|---|',
    `| ${judge} | ${withInterval(firstErrors.erroneousAccuracy)} | ${withInterval(firstErrors.correctAccuracy)} | ${withInterval(firstErrors.f1)} |`,
    ...baselines.map(
      ({ name, erroneousAccuracy, correctAccuracy, f1 }) =>
        `| ${BASELINE_NAMES[name]} | ${percent(erroneousAccuracy)} | ${percent(correctAccuracy)} | ${percent(f1)} |`,
    ),
    '',
    '| | rows | exact | too early | too late | not seen | false alarm | no verdict |',
    '|---|---|---|---|---|---|---|---|',
    `| with an error | ${erroneous.rows} | ${erroneous.exact} | ${erroneous.tooEarly} | ${erroneous.tooLate} | ${erroneous.missed} | | ${erroneous.noVerdict} |`,
    `| without | ${correct.rows} | ${correct.exact} | | | | ${correct.falseAlarm} | ${correct.noVerdict} |`,
    '',
    `A step below ${threshold} is wrong.${fittedText(fitted)}`,
    '',
  ]
}

function fittedText(fitted: JudgeReport['fitted']): string {
  if (fitted === null) return ''
  const f1 = percent(fitted.f1)
  return ` The best threshold on these rows is ${fitted.threshold.toFixed(4)}, with F1 ${f1}: a figure for other rows (--threshold), not for these.`
}

function prmLines({ prmScore }: JudgeReport): string[] {
  if (prmScore === null) return []
  return [
    '## Each step',
    '',
    '| class | steps | scored | abstained | failed | F1 right | F1 wrong | PRMScore |',
    '|---|---|---|---|---|---|---|---|',
    ...[...prmScore.categories].map(
      ([name, one]) =>
        `| ${name} | ${one.steps} | ${one.scored} | ${one.abstained} | ${one.failed} | ${withInterval(one.f1)} | ` +
        `${withInterval(one.negativeF1)} | ${withInterval(one.score)} |`,
    ),
    '',
    `Mean of the classes: ${percent(prmScore.average)}.`,
    '',
  ]
}

function trustLines({ calibration, agreement, panel, drift, wrongProcess, lengthBias }: JudgeReport): string[] {
  const number = (value: number | null): string => (value === null ? 'not defined' : value.toFixed(3))
  const { kappa } = agreement
  const interval = kappa.value === null ? '' : ` [${number(kappa.low)}, ${number(kappa.high)}]`
  return [
    '## Can it be trusted?',
    '',
    `- Agreement with people on ${agreement.items} steps: κ ${number(kappa.value)}${interval}, observed ${percent(agreement.observed)} %.`,
    ...agreementLines(panel).map((line) => `- ${line[0].toUpperCase()}${line.slice(1)}.`),
    `- Scores as chances, ${calibration.steps} steps: expected calibration error ${number(calibration.ece)}, Brier ${number(calibration.brier)}.`,
    `- Lowest score at the last step: ${withInterval(drift.share)} % of ${drift.of} solutions (a judge of answers, not of steps, is near 100).`,
    `- A wrong step seen in ${withInterval(wrongProcess.share)} % of ${wrongProcess.of} solutions whose final answer is right.`,
    `- Score against number of steps: Spearman's ρ ${number(lengthBias.rho)} over ${lengthBias.of} solutions.`,
    '',
  ]
}

/** F1 on ProcessBench as published, where the data are one of its sets. */
function publishedLines({ firstErrors }: JudgeReport, data: string): string[] {
  const set = /^(gsm8k|math)\b/.exec(data)?.[1]
  if (firstErrors === null || (set !== 'gsm8k' && set !== 'math')) return []
  const rows = [...PROCESSBENCH_PUBLISHED].sort((a, b) => b[set] - a[set])
  return [
    `## Published F1 on ProcessBench ${set}`,
    '',
    '| model | F1 |',
    '|---|---|',
    ...rows.map((one) => `| ${one.model} | ${one[set].toFixed(1)} |`),
    '',
    'Sources: arXiv 2412.06559, 2501.07301. They hold for the whole set.',
    '',
  ]
}

export function judgeReportText(of: {
  readonly judge: string
  readonly data: string
  readonly report: JudgeReport
  readonly spent: number
}): string {
  const { judge, data, report, spent } = of
  return [
    `# ${judge} on ${data}`,
    '',
    `Cost of the judgements: $${spent.toFixed(4)}.`,
    '',
    ...firstErrorLines(report, judge),
    ...prmLines(report),
    ...trustLines(report),
    ...publishedLines(report, data),
  ].join('\n')
}
