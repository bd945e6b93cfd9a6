import { EPSILON, NUMBERS, type ScalarAdam, stepScalar } from '../methods/scalar_adam.js';
import type { Numbers, ScalarMethod } from './scalar_method.js';

/**
 * Adam on a number x with gradient h, and what its own numbers did to x. With M = m / (1 - beta1^t), V = v / (1 - beta2^t),
 * D = sqrt(V) + 1e-8:
 *
 *     x = x - rate M / D
 *     dx/drate  = -M / D
 *     dx/dbeta1 = -rate / D [(m' - h) / (1 - beta1^t) + m t beta1^(t-1) / (1 - beta1^t)^2]
 *     dx/dbeta2 = rate M / D^2 / (2 sqrt V) [(v' - h^2) / (1 - beta2^t) + v t beta2^(t-1) / (1 - beta2^t)^2]
 */
export function stepAdam({ rate, ...betas }: Numbers, t: number, h: number, [m0, v0]: readonly number[]) {
  const options = { learningRate: rate, ...betas } as unknown as ScalarAdam;
  const { learningRate, beta1, beta2 } = options;
  const { x: change, m, v } = stepScalar(NUMBERS, options, t, h, [0, m0 as number, v0 as number]);
  const [c1, c2] = [1 - beta1 ** t, 1 - beta2 ** t];
  const root = Math.sqrt(v / c2);
  const denominator = root + EPSILON;
  const ofFirst = ((m0 as number) - h) / c1 + (m * t * beta1 ** (t - 1)) / c1 ** 2;
  const ofSecond = ((v0 as number) - h * h) / c2 + (v * t * beta2 ** (t - 1)) / c2 ** 2;
  return {
    change,
    moments: [m, v],
    derivatives: {
      rate: -m / c1 / denominator,
      beta1: (-learningRate / denominator) * ofFirst,
      beta2: root === 0 ? 0 : ((learningRate * m) / c1 / denominator ** 2 / (2 * root)) * ofSecond,
    },
  };
}

/** Adam as class Adam of gdtuo: the second moment starts at 1e-8, so that its root has a derivative. */
export const adam: ScalarMethod = {
  numbers: { rate: undefined, beta1: 0.9, beta2: 0.999 },
  gradient: ({ h }) => h,
  start: [0, EPSILON],
  step: stepAdam,
};
