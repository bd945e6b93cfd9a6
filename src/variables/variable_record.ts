/** What an optimizer knows about one variable. */

import type { Variable } from '@tensorflow/tfjs-core';
import type { VariableState, VariableUpdate } from '../backends/types.js';
import { NOTHING_OWN, type OwnValues } from './groups.js';

export interface VariableRecord {
  readonly name: string;
  /** The variable seen last under this name. */
  variable: Variable;
  state: VariableState;
  /** Data id that the last step left in the variable; another one means that it was assigned from outside. */
  dataId: object | null;
  /** Iteration of the first gradient since the constraint was started; null before that. */
  born: number | null;
  /** Updates of this variable so far. */
  updates: number;
  /** Factor on the rule's number that the variable has by its place in the model. */
  placeScale: number;
  /** Factor on the rule's number, `placeScale` included. */
  ruleScale: number;
  /** What the variable has of its own by its group and its layer. */
  own: OwnValues;
  /** Arguments of the next step, reused. */
  readonly update: VariableUpdate;
}

export function newRecord(variable: Variable, state: VariableState): VariableRecord {
  return {
    name: variable.name,
    variable,
    state,
    dataId: null,
    born: null,
    updates: 0,
    placeScale: 1,
    ruleScale: 1,
    own: NOTHING_OWN,
    update: {
      spec: state.spec,
      state,
      weights: variable,
      gradient: variable,
      proposal: null,
      t: 1,
      n: 1,
      fromWeights: true,
    },
  };
}

/** Puts another state in place (after a change of backend); the old one is the caller's to dispose. */
export function replaceState(record: VariableRecord, state: VariableState): void {
  record.state = state;
  record.update.state = state;
}

/** Steps of the constraint after `iterations` steps of the optimizer, gaps included; 0: not started. */
export function constraintSteps(record: VariableRecord, iterations: number): number {
  return record.born === null ? 0 : iterations - record.born;
}
