/** 120 small variables: what a step costs where there is next to nothing to compute. */

import type { ListedVariable, VariableList } from './types.js';

const KERNELS: ReadonlyArray<readonly [number, number]> = [
  [8, 8],
  [16, 16],
  [32, 32],
  [64, 32],
  [16, 64],
  [12, 24],
];

function tiny(): ListedVariable[] {
  return Array.from({ length: 60 }, (_, i) => {
    const [inputs, outputs] = KERNELS[i % KERNELS.length] as readonly [number, number];
    return [
      { name: `dense${i}/kernel`, shape: [inputs, outputs] },
      { name: `dense${i}/bias`, shape: [outputs] },
    ];
  }).flat();
}

/** 60 dense kernels of 64 to 2048 weights and their biases. */
export const TINY_120: VariableList = { name: 'tiny', label: '120 tiny', variables: tiny() };
