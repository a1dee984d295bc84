/** @file What each metric means, in a sentence: docs/metrics.md in short. */

const texts: Readonly<Record<string, string>> = {
  loss: 'What training makes small. Of sigmoid, 0.693 before anything was learnt.',
  'rewards/chosen': 'β · (policy − reference) log-probability of the better step.',
  'rewards/rejected': 'The same of the worse step.',
  'rewards/margins': 'Reward of the chosen step less that of the rejected one. It should rise.',
  'rewards/accuracies': 'The part of pairs with a margin above 0. Ties count as wrong, so it begins at 0.',
  'rewards/ties': 'The part of pairs with a margin of exactly 0.',
  'rewards/saturated': 'The part of pairs with σ(margin) above 0.99: they teach nothing more.',
  'rewards/length_correlation': 'How margins go with length. Far from 0: the policy learns length, not steps.',
  'lengths/chosen': 'Tokens of the better step.',
  'lengths/rejected': 'Tokens of the worse step.',
  'logps/displacement':
    'Nats by which a chosen token has become less likely than at the beginning. High is a bad sign.',
  'logps/chosen': 'Log-probability of the better step under the policy.',
  'logps/rejected': 'Log-probability of the worse step under the policy.',
  'logps/accuracies': 'How often the policy finds the better step more likely, without a reference.',
  'reference/accuracies': 'The same for the untrained policy: what accuracies are to be compared with.',
  'kl/token': 'How far policy and reference are apart, in nats a token.',
  'weights/ess': 'Effective sample size of the weights of pairs: 1 where all are alike.',
  'weights/token_ess': 'Effective sample size of the weights of tokens.',
  grad_noise_scale: 'The batch, in pairs, at which noise and signal of the gradient are equal.',
  'logits/chosen': 'Mean logit of the vocabulary at tokens of the better step.',
  'logits/rejected': 'Mean logit of the vocabulary at tokens of the worse step.',
  entropy: "Of the policy's next token, in nats. A fall to 0 is a collapse.",
  mean_token_accuracy: "How often a token of the better step is the policy's first choice.",
  grad_norm: 'Length of the whole gradient, before clipping.',
  learning_rate: 'Of this update. With warm-up that of the first is 0.',
  num_tokens: 'Tokens computed so far.',
  'verdicts/accuracies': 'The part of labelled steps whose verdict is right.',
  'verdicts/accuracies_right': 'The part of right steps that are called right.',
  'verdicts/accuracies_wrong': 'The part of wrong steps that are called wrong.',
  'verdicts/mean': 'The mean chance that a step is right.',
  'verdicts/right': 'The part of labelled steps that are right.',
  'verdicts/brier': 'Mean squared error of the chances: 0 is best.',
  'verdicts/balanced': 'Accuracy with right and wrong steps of equal weight.',
  'verdicts/f1_wrong': 'F1 in finding wrong steps.',
  'verdicts/auc': 'The chance that a right step is scored above a wrong one.',
  accuracy: 'The part of held-out problems that are solved by greedy sampling.',
  repetitive: 'The part of solutions that repeat themselves.',
  truncated: 'The part of solutions that met the limit of tokens.',
  pairs: 'Held-out pairs.',
  problems: 'Held-out problems.',
  'tokens/s': 'Tokens computed in a second.',
  tokens: 'Tokens of this update.',
  seconds: 'How long the update took.',
  residentBytes: 'Memory of the process, in bytes.',
}

/** With or without `eval_`; positions of steps share a text. */
export function explain(metric: string): string {
  const name = metric.replace(/^eval_/, '')
  const place = /^(rewards\/chosen|rewards\/rejected|kl)\/step_(\d+\+?)$/.exec(name)
  if (place === null) return texts[name] ?? 'A figure that this run logs.'
  const what =
    place[1] === 'kl' ? 'Nats a token between policy and reference' : `Reward of the ${place[1]?.slice(8)} side`
  return `${what}, of steps at position ${place[2]} of a solution.`
}

/** What people look at first, in this order; other metrics follow by name. */
export const firstMetrics: readonly string[] = [
  'loss',
  'rewards/accuracies',
  'rewards/margins',
  'rewards/chosen',
  'rewards/rejected',
  'learning_rate',
  'grad_norm',
  'tokens/s',
  'residentBytes',
]
