import type { ScalarMethod } from './scalar_method.js';

/**
 * SGD on a number x with gradient h, as class SGD of gdtuo (github.com/kach/gradient-descent-the-ultimate-optimizer):
 *
 *     u = momentum u' + h           first step: u = h
 *     x = x - rate u                dx/drate = -u,  dx/dmomentum = -rate u'
 */
export const sgd: ScalarMethod = {
  numbers: { rate: undefined, momentum: 0 },
  gradient: ({ h }) => h,
  start: [0],
  step({ rate, momentum }, steps, g, [last]) {
    const [alpha, mu, kept] = [rate as number, momentum as number, steps === 1 ? 0 : (last as number)];
    const u = mu * kept + g;
    return {
      change: -alpha * u,
      moments: [u],
      derivatives: { rate: -u, momentum: mu === 0 ? 0 : -alpha * kept },
    };
  },
};
