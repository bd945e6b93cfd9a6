/** The optimizers that suites `step` and `memory` compare. */

import { type Optimizer, train } from '@tensorflow/tfjs-core';
import { type FtpOptimizer, ftp } from 'tfjs-ftp';
import { bytesPerParameter } from './bytes.js';

export interface StepContender {
  name: string;
  label: string;
  create(): Optimizer | FtpOptimizer;
  /** Null: not one pass over memory, so GB/s would say nothing. */
  bytes: number | null;
  /** Words a parameter, to see beforehand what fits: state between steps, and what comes and goes in a step. */
  words: { state: number; transient: number };
  /** Whether its state lies in tensors of the backend. On `wasm` and `cpu` the native step's does not. */
  stateInTensors: boolean;
}

const RATE = 1e-3;
/** Everything excluded from projection: plain AdamW on the same machinery. */
const EVERYTHING = [/./];

/** The order is that of the tables. */
export const STEP_CONTENDERS: readonly StepContender[] = [
  {
    name: 'tf-adam',
    label: 'tf.train.adam',
    create: () => train.adam(RATE),
    bytes: null,
    words: { state: 2, transient: 14 },
    stateInTensors: true,
  },
  {
    name: 'tf-sgd',
    label: 'tf.train.sgd',
    create: () => train.sgd(RATE),
    bytes: null,
    words: { state: 0, transient: 1 },
    stateInTensors: true,
  },
  {
    name: 'ftp-adamw',
    label: 'FTP-AdamW',
    create: () => ftp.adamw(RATE, { implementation: 'native' }),
    bytes: bytesPerParameter('ftp-adamw', 'check'),
    words: { state: 4, transient: 1 },
    stateInTensors: false,
  },
  {
    name: 'ftp-adamw-ignore',
    label: 'FTP-AdamW, no check',
    create: () => ftp.adamw(RATE, { implementation: 'native', nonFinite: 'ignore' }),
    bytes: bytesPerParameter('ftp-adamw'),
    words: { state: 4, transient: 1 },
    stateInTensors: false,
  },
  {
    name: 'ftp-sgd',
    label: 'FTP-SGD',
    create: () => ftp.sgd(RATE, { implementation: 'native' }),
    bytes: bytesPerParameter('ftp-sgd', 'check'),
    words: { state: 2, transient: 1 },
    stateInTensors: false,
  },
  {
    name: 'adamw',
    label: 'plain fused AdamW',
    create: () => ftp.adamw(RATE, { implementation: 'native', exclude: EVERYTHING }),
    bytes: bytesPerParameter('adamw', 'check'),
    words: { state: 2, transient: 1 },
    stateInTensors: false,
  },
  {
    name: 'reference-adamw',
    label: 'FTP-AdamW, reference',
    create: () => ftp.adamw(RATE, { implementation: 'reference' }),
    bytes: null,
    words: { state: 4, transient: 22 },
    stateInTensors: true,
  },
];

/** Whose times the others' are divided by. */
export const STEP_BASELINES = ['tf-adam', 'tf-sgd', 'adamw', 'ftp-adamw-ignore', 'reference-adamw'] as const;

export function stepContender(name: string): StepContender {
  const contender = STEP_CONTENDERS.find((candidate) => candidate.name === name);
  if (contender === undefined) {
    const known = STEP_CONTENDERS.map((candidate) => candidate.name).join(', ');
    throw new RangeError(`contender must be one of ${known}, got ${name}`);
  }
  return contender;
}
