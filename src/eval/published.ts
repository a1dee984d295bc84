/**
 * @file Published F1 on ProcessBench, in percent, as reported by Zheng et al. 2024 (arXiv 2412.06559) and, for the
 * models named Qwen2.5-Math-PRM, by Zhang et al. 2025 (arXiv 2501.07301).
 */

export interface PublishedF1 {
  readonly model: string
  readonly gsm8k: number
  readonly math: number
  /** Over all four sets: GSM8K, MATH, OlympiadBench, Omni-MATH. */
  readonly average: number
}

export const PROCESSBENCH_PUBLISHED: readonly PublishedF1[] = [
  { model: 'Math-Shepherd-PRM-7B', gsm8k: 47.9, math: 29.5, average: 31.5 },
  { model: 'RLHFlow-PRM-Mistral-8B', gsm8k: 50.4, math: 33.4, average: 28.4 },
  { model: 'RLHFlow-PRM-Deepseek-8B', gsm8k: 38.8, math: 33.8, average: 26.6 },
  { model: 'Skywork-PRM-1.5B', gsm8k: 59.0, math: 48.0, average: 36.4 },
  { model: 'Skywork-PRM-7B', gsm8k: 70.8, math: 53.6, average: 42.1 },
  { model: 'Qwen2.5-Math-7B-PRM800K', gsm8k: 68.2, math: 62.6, average: 56.5 },
  { model: 'Qwen2.5-Math-PRM-7B', gsm8k: 82.4, math: 77.6, average: 73.5 },
  { model: 'Qwen2.5-Math-PRM-72B', gsm8k: 87.3, math: 80.6, average: 78.3 },
  { model: 'Qwen2.5-7B-Instruct (critic)', gsm8k: 36.5, math: 36.6, average: 32.6 },
  { model: 'Qwen2.5-14B-Instruct (critic)', gsm8k: 69.3, math: 53.3, average: 52.2 },
  { model: 'Qwen2.5-72B-Instruct (critic)', gsm8k: 76.2, math: 61.8, average: 61.2 },
  { model: 'QwQ-32B-Preview (critic)', gsm8k: 88.0, math: 78.7, average: 71.5 },
  { model: 'GPT-4o-0806 (critic)', gsm8k: 79.2, math: 63.6, average: 61.9 },
  { model: 'o1-mini (critic)', gsm8k: 93.2, math: 88.9, average: 87.9 },
]
