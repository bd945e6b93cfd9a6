import { stepAdam } from './adam.js';
import type { ScalarMethod } from './scalar_method.js';

/** Most that a number, or the odds of one between 0 and 1, may change in a step, as a factor. */
const MOST = 1.25;
/** Against a division by 0. */
const TINY = 1e-30;

/**
 * Adam on the logarithm of a number, or the logit of one between 0 and 1, with the hyper-gradient h = sum G X made free of
 * units:
 *
 *     h / (|G| |X| + 1e-30)        the cosine of the angle between G and X
 *
 * The change is cut to [log 0.8, log 1.25]. A number that nothing depends on stays as it is.
 */
export const normalized: ScalarMethod = {
  numbers: { rate: 0.02, beta1: 0.9, beta2: 0.999 },
  gradient: ({ h, gg, xx }) => (gg * xx === 0 ? null : h / (Math.sqrt(gg) * Math.sqrt(xx) + TINY)),
  start: [0, 0],
  step(numbers, steps, g, moments) {
    const step = stepAdam(numbers, steps, g, moments);
    const most = Math.log(MOST);
    if (Math.abs(step.change) <= most) return step;
    const derivatives = Object.fromEntries(Object.keys(step.derivatives).map((name) => [name, 0]));
    return { ...step, change: Math.sign(step.change) * most, derivatives };
  },
};
