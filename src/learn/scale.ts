/** On which scale a number is learned: x moves by steps, the number is `from(x)`. */
export interface NumberScale {
  to(value: number): number;
  from(x: number): number;
  /** d(value)/dx */
  slope(value: number): number;
}

/** The number itself. */
export const LINEAR: NumberScale = { to: (value) => value, from: (x) => x, slope: () => 1 };

/** log(value), for numbers > 0. */
export const LOG: NumberScale = { to: Math.log, from: Math.exp, slope: (value) => value };

/** log(value / (1 - value)), for numbers between 0 and 1. */
export const LOGIT: NumberScale = {
  to: (value) => Math.log(value / (1 - value)),
  from: (x) => 1 / (1 + Math.exp(-x)),
  slope: (value) => value * (1 - value),
};

/** value = (tanh x + 1) / 2, half of {@link LOGIT}: what gdtuo learns betas by. */
export const TANH: NumberScale = {
  to: (value) => LOGIT.to(value) / 2,
  from: (x) => LOGIT.from(2 * x),
  slope: (value) => 2 * value * (1 - value),
};
