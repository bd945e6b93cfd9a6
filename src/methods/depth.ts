import type { OptionSpec } from '../options.js';
import { checkNumber, describe } from '../validate.js';
import type { Place } from './method.js';

/** How a rule's strength changes with the depth of a layer; see {@link DepthOptions.strengthByDepth}. */
export type StrengthByDepth = 'linear' | 'cosine' | ((name: string, layer: number, layers: number) => number);

/** Options of rules whose strength may change with depth. */
export interface DepthOptions {
  /**
   * Factor on the strength by the depth of a variable's layer, for layers near the input to be held more than those near
   * the output (MAPS, arXiv 2511.19878). With i the index of the layer, from 0, and N the number of layers:
   *
   * - `'linear'`: 1 - i / N
   * - `'cosine'`: (1 + cos(pi i / N)) / 2
   * - a function of the variable's name, i and N: what it returns, a finite number >= 0
   *
   * With the words, variables of rank 0 and 1, such as biases, have the factor 0. Default: 1 for every variable. A layer
   * is what variable names have before their last slash. Layers are counted in the order of `model`, then of their first
   * appearance in a step; excluded variables do not count. A variable keeps the factor of its first step; it is saved
   * with the optimizer, a function is not.
   */
  strengthByDepth?: StrengthByDepth;
}

const WORDS = {
  linear: (i: number, n: number) => 1 - i / n,
  cosine: (i: number, n: number) => (1 + Math.cos((Math.PI * i) / n)) / 2,
};

const ACCEPTED = "strengthByDepth must be 'linear', 'cosine' or a function of name, layer and layers";

export const strengthByDepthOption: OptionSpec<StrengthByDepth | null> = {
  default: null,
  check(_name, value) {
    if (typeof value === 'function') return value as StrengthByDepth;
    if (typeof value !== 'string') throw new TypeError(`${ACCEPTED}, got ${describe(value)}`);
    if (!Object.hasOwn(WORDS, value)) throw new RangeError(`${ACCEPTED}, got ${describe(value)}`);
    return value as keyof typeof WORDS;
  },
  saved: (value) => (typeof value === 'function' ? null : value),
};

/** The factor of a variable; null: 1 for every variable. */
export function depthFactor(by: StrengthByDepth | null): ((place: Place) => number) | null {
  if (by === null) return null;
  if (typeof by !== 'function') {
    return ({ shape, layer, layers }) => (shape.length < 2 ? 0 : WORDS[by](layer, layers));
  }
  return ({ name, layer, layers }) =>
    checkNumber(`strengthByDepth('${name}', ${layer}, ${layers})`, by(name, layer, layers), { min: 0 });
}
