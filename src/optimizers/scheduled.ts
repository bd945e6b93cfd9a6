/** FTP optimizers with a learning rate of their own. */

import { type ConstraintSettings, checkLearningRate, checkLearningRateOrSchedule } from '../validate.js';
import { FtpOptimizer } from './ftp_optimizer.js';
import type { FtpOptions, LearningRate } from './options.js';

/** Holds a learning rate: a number, or a function of the step that is asked at every step. */
export abstract class ScheduledFtpOptimizer extends FtpOptimizer {
  private rate: LearningRate;

  constructor(learningRate: LearningRate, options: FtpOptions, known: readonly string[]) {
    super(options, known);
    checkLearningRateOrSchedule(learningRate);
    this.rate = learningRate;
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
