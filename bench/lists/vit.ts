/** Vision transformers (Dosovitskiy et al. 2021), patches of 16 pixels, 224x224 images, 1000 classes. */

import type { ListedVariable, VariableList } from './types.js';

const PATCH = 16;
const CHANNELS = 3;
const TOKENS = (224 / PATCH) ** 2 + 1;
const BLOCKS = 12;
const CLASSES = 1000;

function dense(name: string, inputs: number, outputs: number): ListedVariable[] {
  return [
    { name: `${name}/kernel`, shape: [inputs, outputs] },
    { name: `${name}/bias`, shape: [outputs] },
  ];
}

function layerNorm(name: string, width: number): ListedVariable[] {
  return [
    { name: `${name}/gamma`, shape: [width] },
    { name: `${name}/beta`, shape: [width] },
  ];
}

function vit(name: string, label: string, width: number): VariableList {
  const block = (i: number): ListedVariable[] => [
    ...layerNorm(`block${i}/norm1`, width),
    ...dense(`block${i}/attention/qkv`, width, 3 * width),
    ...dense(`block${i}/attention/projection`, width, width),
    ...layerNorm(`block${i}/norm2`, width),
    ...dense(`block${i}/mlp/fc1`, width, 4 * width),
    ...dense(`block${i}/mlp/fc2`, 4 * width, width),
  ];
  return {
    name,
    label,
    variables: [
      { name: 'class_token', shape: [1, 1, width] },
      { name: 'position_embedding', shape: [1, TOKENS, width] },
      { name: 'patch_embedding/kernel', shape: [PATCH, PATCH, CHANNELS, width] },
      { name: 'patch_embedding/bias', shape: [width] },
      ...Array.from({ length: BLOCKS }, (_, i) => block(i)).flat(),
      ...layerNorm('norm', width),
      ...dense('head', width, CLASSES),
    ],
  };
}

/** 152 variables, 86,567,656 parameters. */
export const VIT_B16 = vit('vit', 'ViT-B/16', 768);

/** The same 152 variables a quarter as wide, 5,717,416 parameters: for what is too slow or too large for ViT-B/16. */
export const VIT_TI16 = vit('vit-ti', 'ViT-Ti/16', 192);
