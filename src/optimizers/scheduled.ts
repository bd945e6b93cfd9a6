/** FTP optimizers with a learning rate of their own. */

import type { serialization } from '@tensorflow/tfjs-core';
import { type ConstraintSettings, checkLearningRate, checkLearningRateOrSchedule } from '../validate.js';
import { FtpOptimizer } from './ftp_optimizer.js';
import type { FtpOptions, LearningRate } from './options.js';

/**
 * Holds the options of its base update, `Base`, and a learning rate: a number, or a function of the step that is asked
 * at every step.
 */
export abstract class ScheduledFtpOptimizer<Base extends object> extends FtpOptimizer {
  private rate: LearningRate;
  protected readonly base: Base;

  /** `known`: the options that there are; `resolve`: checks those of the base update and fills in defaults. */
  constructor(
    learningRate: LearningRate,
    options: FtpOptions,
    known: readonly string[],
    resolve: (options: object) => Base,
  ) {
    super(options, known);
    checkLearningRateOrSchedule(learningRate);
    this.rate = learningRate;
    this.base = resolve(options);
  }

  /**
   * The learning rate of the next step (0-based `iterations`). Settable between steps, to a finite number
   * >= 0 or to a function of the step.
   *
   * @throws TypeError or RangeError if set to something else, or if the function returns something else.
   */
  get learningRate(): number {
    const { rate } = this;
    return checkLearningRate(typeof rate === 'function' ? rate(this.iterations) : rate);
  }

  set learningRate(value: LearningRate) {
    checkLearningRateOrSchedule(value);
    this.rate = value;
  }

  /** All options as JSON; of a learning rate function, its present value. */
  getConfig(): serialization.ConfigDict {
    return { learningRate: this.learningRate, ...this.base, ...this.ftpConfig() };
  }

  /** The part of a step's numbers that belongs to the constraint and to the learning rate. */
  protected sharedHyper() {
    return { learningRate: this.learningRate, ...constraintHyper(this.settings) };
  }
}

/** The part of a step's numbers that belongs to the constraint. */
export function constraintHyper(settings: ConstraintSettings) {
  const { k, constraintLearningRate, constraintBeta1, constraintBeta2, nonFinite, threads } = settings;
  return {
    k,
    constraintLearningRate,
    constraintBeta1,
    constraintBeta2,
    checkFinite: nonFinite !== 'ignore',
    threads,
  };
}
