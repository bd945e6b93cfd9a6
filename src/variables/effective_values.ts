/** The numbers that a step uses for one variable. */

import type { BoundMethod, StepValues } from '../methods/method.js';
import type { VariableRecord } from './variable_record.js';

/**
 * The numbers of a step for one variable: the optimizer's, the variable's own in place of them, then the factors on the
 * learning rate and on the rule's number.
 *
 * @param values of the step, for all variables.
 * @returns undefined: just `values`.
 */
export function effectiveValues(
  method: BoundMethod,
  values: StepValues,
  { own, ruleScale }: Pick<VariableRecord, 'own' | 'ruleScale'>,
): StepValues | undefined {
  const { learningRateScale, numbers } = own;
  const hasNumbers = Object.keys(numbers).length > 0;
  if (learningRateScale === 1 && ruleScale === 1 && !hasNumbers) return undefined;
  const scales = { learningRate: learningRateScale, weightDecay: 1, rule: ruleScale };
  return method.scaled(hasNumbers ? { ...values, ...numbers } : values, scales);
}
