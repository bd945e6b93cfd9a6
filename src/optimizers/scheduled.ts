/** FTP optimizers with a learning rate of their own. */

import type { NamedTensorMap, serialization } from '@tensorflow/tfjs-core';
import type { NamedTensor } from '../projection/saved_state.js';
import { isSchedule } from '../transforms/schedule.js';
import { restoreSchedule } from '../transforms/schedules.js';
import { type ConstraintSettings, checkLearningRate, checkLearningRateOrSchedule } from '../validate.js';
import { FtpOptimizer } from './ftp_optimizer.js';
import { type FtpOptions, type LearningRate, RESTORED, type Restored } from './options.js';

/**
 * Holds the options of its base update, `Base`, and a learning rate: a number, or a function of the step that is asked
 * at every step.
 */
export abstract class ScheduledFtpOptimizer<Base extends object> extends FtpOptimizer {
  private rate: LearningRate;
  /** Whether the rate is a saved value of a function that has not been set again. */
  private scheduleLost: boolean;
  private warned = false;
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
    // A schedule's description; or whether there was another function, which cannot be saved.
    const saved = (options as { [RESTORED]?: Restored })[RESTORED]?.schedule;
    this.rate = saved !== null && typeof saved === 'object' ? restoreSchedule(saved) : learningRate;
    this.scheduleLost = saved === true;
    this.base = resolve(options);
  }

  /**
   * The learning rate of the next step (0-based `iterations`). Settable between steps, to a finite number
   * >= 0 or to a function of the step.
   *
   * A schedule of `schedules` is saved with the optimizer. Any other function is not: set it again after loading. A
   * step with the saved value instead warns once.
   *
   * @throws TypeError or RangeError if set to something else, or if the function returns something else; FtpError if
   *   set after `dispose()`.
   */
  get learningRate(): number {
    const { rate } = this;
    return checkLearningRate(typeof rate === 'function' ? rate(this.iterations) : rate);
  }

  set learningRate(value: LearningRate) {
    this.assertUsable();
    checkLearningRateOrSchedule(value);
    this.rate = value;
    this.scheduleLost = false;
  }

  /**
   * All options as JSON; of a learning rate function, its present value, and as `schedule` its description if it is one
   * of `schedules`, else that there was one.
   */
  getConfig(): serialization.ConfigDict {
    const { rate } = this;
    const described = isSchedule(rate) ? (rate.config as unknown as serialization.ConfigDict) : null;
    const schedule = described ?? (this.scheduleLost || typeof rate === 'function');
    return { learningRate: this.learningRate, schedule, ...this.base, ...this.ftpConfig() };
  }

  override applyGradients(gradients: NamedTensorMap | NamedTensor[]): void {
    super.applyGradients(gradients);
    if (!this.scheduleLost || this.warned) return;
    this.warned = true;
    console.warn(
      'tfjs-ftp: the learning rate was a function when the optimizer was saved, and a function cannot be saved. It ' +
        `stays at ${this.learningRate}, its value then, until optimizer.learningRate is set to the function again`,
    );
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
