/** Averages of the weights in loaded state whose variables no step has brought yet. */

import { clone, type Tensor, type Variable } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import type { BoundMethod } from '../methods/method.js';
import { type ModelLike, OutputAxes } from './output_axis.js';
import { registeredVariable } from './registered.js';
import { matchSaved, type SavedVariable } from './saved_state.js';

/** A variable, and a copy of the average that was saved for it. */
interface SavedAverage {
  variable: Variable;
  average: Tensor;
  record: null;
}

/**
 * The averages with their variables, which are those of `model`: names alone could mean another model's.
 *
 * @throws FtpError STATE_MISMATCH where a variable is not found.
 */
export function averagesOfSaved(
  pending: SavedVariable[],
  model: ModelLike | undefined,
  method: BoundMethod,
): SavedAverage[] {
  const averaged = pending.filter(({ slots }) => slots.has('ema'));
  if (averaged.length === 0) return [];
  if (model === undefined) {
    throw new FtpError(
      'STATE_MISMATCH',
      `no step has brought '${averaged[0]?.name}' since the state was loaded: swapEma(model) tells whose variables they are`,
    );
  }
  const variables = new OutputAxes(model, undefined)
    .ofModel()
    .flatMap(({ name }) => registeredVariable(name) ?? []);
  const matched = matchSaved(averaged, variables, method, true);
  const found = new Set(matched.values());
  const lost = averaged.find((saved) => !found.has(saved));
  if (lost !== undefined) {
    throw new FtpError('STATE_MISMATCH', `the model has no variable for the average of '${lost.name}'`);
  }
  return [...matched].map(([variable, { slots }]) => {
    return { variable, average: clone(slots.get('ema') as Tensor), record: null };
  });
}
