import type { Tensor } from '@tensorflow/tfjs-core';
import type { BaseUpdate } from './method.js';

/** Whatever another optimizer proposes: W - U is given, not computed. */
export const proposal: BaseUpdate = {
  name: 'proposal',
  code: 2,
  options: {},
  flags: () => 0,
  slots: [],
  numbers: [],
  update: (_ops, _values, _g, _w, view) => ({ proposes: view.proposal as Tensor }),
};
