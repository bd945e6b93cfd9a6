/** The variable lists by the name that `--list` takes. */

import type { ListSize } from '../schema.js';
import { RESNET_50 } from './resnet.js';
import { TINY_120 } from './tiny.js';
import { parametersOf, type VariableList } from './types.js';
import { VIT_B16, VIT_TI16 } from './vit.js';

export { elementsOf, parametersOf, rowsOf, type VariableList } from './types.js';

export const LISTS: readonly VariableList[] = [VIT_B16, RESNET_50, VIT_TI16, TINY_120];

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
