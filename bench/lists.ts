/** Lists of variables as models hold them, by the name that `--list` takes. */

import type { ListSize } from './schema.js';

interface ListedVariable {
  name: string;
  /** As in Keras: the output axis last. */
  shape: readonly number[];
}

export interface VariableList {
  /** What `--list` takes. */
  name: string;
  label: string;
  variables: readonly ListedVariable[];
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Parameters of the whole list. */
export function parametersOf({ variables }: VariableList): number {
  return variables.reduce((total, { shape }) => total + elementsOf(shape), 0);
}

/** A variable as a matrix: output units, and weights of each. Rank 0 and 1 are one unit. */
export function rowsOf(shape: readonly number[]): { rows: number; length: number } {
  const rows = shape.length < 2 ? 1 : (shape.at(-1) as number);
  return { rows, length: elementsOf(shape) / rows };
}

function dense(name: string, inputs: number, outputs: number): ListedVariable[] {
  return [
    { name: `${name}/kernel`, shape: [inputs, outputs] },
    { name: `${name}/bias`, shape: [outputs] },
  ];
}

function normalization(name: string, width: number): ListedVariable[] {
  return [
    { name: `${name}/gamma`, shape: [width] },
    { name: `${name}/beta`, shape: [width] },
  ];
}

/** Of both models: the classes of ImageNet. */
const CLASSES = 1000;
const PATCH = 16;
const TOKENS = (224 / PATCH) ** 2 + 1;
const BLOCKS = 12;

/** Vision transformers (Dosovitskiy et al. 2021), patches of 16 pixels, 224x224 images. */
function vit(name: string, label: string, width: number): VariableList {
  const block = (i: number): ListedVariable[] => [
    ...normalization(`block${i}/norm1`, width),
    ...dense(`block${i}/attention/qkv`, width, 3 * width),
    ...dense(`block${i}/attention/projection`, width, width),
    ...normalization(`block${i}/norm2`, width),
    ...dense(`block${i}/mlp/fc1`, width, 4 * width),
    ...dense(`block${i}/mlp/fc2`, 4 * width, width),
  ];
  return {
    name,
    label,
    variables: [
      { name: 'class_token', shape: [1, 1, width] },
      { name: 'position_embedding', shape: [1, TOKENS, width] },
      { name: 'patch_embedding/kernel', shape: [PATCH, PATCH, 3, width] },
      { name: 'patch_embedding/bias', shape: [width] },
      ...Array.from({ length: BLOCKS }, (_, i) => block(i)).flat(),
      ...normalization('norm', width),
      ...dense('head', width, CLASSES),
    ],
  };
}

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
    ...normalization(`${name}_bn`, outputs),
  ];
}

/** ResNet-50 (He et al. 2016) with the trainable variables of its batch normalizations. */
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
  return [...variables, ...dense('head', inputs, CLASSES)];
}

const TINY_KERNELS: ReadonlyArray<readonly [number, number]> = [
  [8, 8],
  [16, 16],
  [32, 32],
  [64, 32],
  [16, 64],
  [12, 24],
];

/** 60 dense kernels of 64 to 2048 weights and their biases: what a step costs where there is next to nothing to compute. */
function tiny(): ListedVariable[] {
  return Array.from({ length: 60 }, (_, i) => {
    const [inputs, outputs] = TINY_KERNELS[i % TINY_KERNELS.length] as readonly [number, number];
    return dense(`dense${i}`, inputs, outputs);
  }).flat();
}

export const LISTS: readonly VariableList[] = [
  /** 152 variables, 86,567,656 parameters. */
  vit('vit', 'ViT-B/16', 768),
  /** 161 variables, 25,557,032 parameters. */
  { name: 'resnet', label: 'ResNet-50', variables: resnet50() },
  /** The variables of ViT-B/16 a quarter as wide, 5,717,416 parameters: for what is too slow or too large for it. */
  vit('vit-ti', 'ViT-Ti/16', 192),
  { name: 'tiny', label: '120 tiny', variables: tiny() },
];

export function listNamed(name: string): VariableList {
  const list = LISTS.find((candidate) => candidate.name === name);
  if (list === undefined) {
    throw new RangeError(`list must be one of ${LISTS.map((known) => known.name).join(', ')}, got ${name}`);
  }
  return list;
}

/** A list in numbers, for reports. */
export function sizeOf(list: VariableList): ListSize {
  const { name, label, variables } = list;
  return { name, label, variables: variables.length, parameters: parametersOf(list) };
}
