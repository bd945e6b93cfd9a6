/** ResNet-50 (He et al. 2016) with the trainable variables of its batch normalizations. */

import type { ListedVariable, VariableList } from './types.js';

const STAGES = [
  { blocks: 3, width: 64 },
  { blocks: 4, width: 128 },
  { blocks: 6, width: 256 },
  { blocks: 3, width: 512 },
];
const EXPANSION = 4;

/** A convolution without bias and its batch normalization; the kernel is [height, width, in, out]. */
function convolution(name: string, size: number, inputs: number, outputs: number): ListedVariable[] {
  return [
    { name: `${name}_conv/kernel`, shape: [size, size, inputs, outputs] },
    { name: `${name}_bn/gamma`, shape: [outputs] },
    { name: `${name}_bn/beta`, shape: [outputs] },
  ];
}

function resnet50(): ListedVariable[] {
  const variables = convolution('stem', 7, 3, 64);
  let inputs = 64;
  for (const [stage, { blocks, width }] of STAGES.entries()) {
    for (let block = 0; block < blocks; ++block) {
      const name = `stage${stage + 1}_block${block + 1}`;
      const outputs = EXPANSION * width;
      variables.push(
        ...convolution(`${name}_1`, 1, inputs, width),
        ...convolution(`${name}_2`, 3, width, width),
        ...convolution(`${name}_3`, 1, width, outputs),
        ...(block === 0 ? convolution(`${name}_shortcut`, 1, inputs, outputs) : []),
      );
      inputs = outputs;
    }
  }
  variables.push({ name: 'head/kernel', shape: [inputs, 1000] }, { name: 'head/bias', shape: [1000] });
  return variables;
}

/** 161 variables, 25,557,032 parameters. */
export const RESNET_50: VariableList = { name: 'resnet', label: 'ResNet-50', variables: resnet50() };
