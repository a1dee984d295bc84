/** @file Whether the slow stage runs (STEPDPO_STORM=1), in which tests that are sampled otherwise are run whole. */
export const isSlow = process.env.STEPDPO_STORM === '1'
