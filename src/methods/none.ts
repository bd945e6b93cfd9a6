import type { Rule } from './method.js';

/** No rule: the plain base update, W - U. Variables that are excluded take it, and methods without a rule. */
export const none: Rule = {
  name: 'none',
  code: 0,
  options: {},
  flags: () => 0,
  slots: [],
  numbers: [],
  step: (_ops, _values, { g, w }, base) => ({ weights: base(g, w).weights(), slots: {} }),
};
