/** The state of any `tf.Optimizer`, this package's or not. */

import { keep, type Optimizer, type serialization } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { loadBase, saveBase } from '../optimizers/base_state.js';
import { FtpOptimizer } from '../optimizers/ftp_optimizer.js';
import { isScheduled, learningRateOf, setLearningRate } from '../optimizers/learning_rate.js';
import type { NamedTensor } from '../variables/saved_state.js';

/** What is saved of an optimizer beside its tensors, as JSON. */
export interface OptimizerRecord {
  className: string;
  config: serialization.ConfigDict;
  learningRate: number | null;
  /** Whether the learning rate is a function of the step. */
  scheduled: boolean;
}

/** Options on which the numbers do not depend, and the learning rate, which is looked at on its own. */
const NOT_COMPARED = ['learningRate', 'schedule', 'implementation', 'threads', 'nonFinite'];

export function recordOptimizer(optimizer: Optimizer): OptimizerRecord {
  return {
    className: optimizer.getClassName(),
    config: optimizer.getConfig(),
    // The getter of a wrapper throws where the wrapped optimizer has no rate.
    learningRate: rateOf(optimizer),
    scheduled: isScheduled(optimizer),
  };
}

/** Copies of the state, the caller's to dispose. */
export async function saveOptimizer(optimizer: Optimizer): Promise<NamedTensor[]> {
  // `instanceof` of an optimizer's class looks for the methods of any optimizer.
  if (!Object.prototype.isPrototypeOf.call(FtpOptimizer.prototype, optimizer)) return saveBase(optimizer);
  const weights = await optimizer.getWeights(); // copies
  for (const { tensor } of weights) keep(tensor);
  return weights;
}

/**
 * Loads a state, and the learning rate if it is a number. On an error the optimizer is as before.
 *
 * @param changes whether options may differ from those that it was saved with.
 * @throws FtpError STATE_MISMATCH if the state is that of another optimizer, or of one with other options.
 */
export async function loadOptimizer(
  optimizer: Optimizer,
  record: OptimizerRecord,
  weights: NamedTensor[],
  changes: boolean,
): Promise<void> {
  const { className, learningRate, scheduled } = record;
  const present = recordOptimizer(optimizer);
  if (className !== present.className) {
    throw mismatch(`the optimizer must be the ${className} that was saved, got ${present.className}`);
  }
  const differing = changes ? [] : differences(asJson(record.config), asJson(present.config));
  if (!changes && scheduled !== present.scheduled) {
    const what = (isFunction: boolean) => (isFunction ? 'a function of the step' : 'a number');
    differing.push(`learningRate ${what(scheduled)}, now ${what(present.scheduled)}`);
  }
  refuse(differing);
  const before = await saveOptimizer(optimizer);
  try {
    await loadBase(optimizer, weights);
    if (learningRate !== null && !scheduled && !present.scheduled) restoreRate(optimizer, learningRate);
    const rate = rateOf(optimizer);
    // At the same step the same schedule has the same value.
    if (!changes && rate !== learningRate) refuse([`learningRate ${learningRate}, now ${rate}`]);
  } catch (error) {
    await loadBase(optimizer, before);
    if (present.learningRate !== null && !present.scheduled) restoreRate(optimizer, present.learningRate);
    throw error;
  } finally {
    for (const { tensor } of before) tensor.dispose();
  }
}

/** Sets a rate that the state has not brought already: to set one that is learned would start its learning anew. */
function restoreRate(optimizer: Optimizer, rate: number): void {
  if (rateOf(optimizer) !== rate) setLearningRate(optimizer, rate);
}

function rateOf(optimizer: Optimizer): number | null {
  try {
    return learningRateOf(optimizer);
  } catch {
    return null;
  }
}

function mismatch(message: string): FtpError {
  return new FtpError('STATE_MISMATCH', message);
}

function refuse(differing: readonly string[]): void {
  if (differing.length === 0) return;
  throw mismatch(
    `the optimizer was saved with other options (${differing.join('; ')}), so that training would not go on as it ` +
      'was. To go on with the new ones, give resume the option changedOptions: true',
  );
}

const asJson = (config: serialization.ConfigDict) => JSON.parse(JSON.stringify(config)) as ConfigJson;

type ConfigJson = { [name: string]: unknown };

/** Options that are plain values in both, and differ. Those that list variables are checked by the state itself. */
function differences(saved: ConfigJson, present: ConfigJson, prefix = ''): string[] {
  return Object.keys(present).flatMap((name) => {
    const [was, is] = [saved[name], present[name]];
    if (NOT_COMPARED.includes(name) || was === undefined || is === undefined) return [];
    const plain = [was, is].every((value) => value === null || typeof value !== 'object');
    // A wrapper has those of the optimizer within.
    if ((name === 'base' || name === 'config') && !plain) {
      return differences(was as ConfigJson, is as ConfigJson, `${prefix}${name}.`);
    }
    return plain && was !== is ? [`${prefix}${name} ${JSON.stringify(was)}, now ${JSON.stringify(is)}`] : [];
  });
}
