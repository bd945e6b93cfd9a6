/** Optimizers with a learning rate of their own. */

import type { NamedTensorMap, serialization } from '@tensorflow/tfjs-core';
import type { Method } from '../methods/method.js';
import { checkLearningRate, checkLearningRateOrSchedule, type LearningRate } from '../options.js';
import { isSchedule } from '../transforms/schedule.js';
import { restoreSchedule } from '../transforms/schedules.js';
import type { NamedTensor } from '../variables/saved_state.js';
import { FtpOptimizer } from './ftp_optimizer.js';
import { type OptimizerOptions, optionsFromConfig, restoredConfig } from './options.js';

/**
 * A method and a learning rate: a number, or a function of the step that is asked at every step. A class for a method
 * has a class name of its own, by which tfjs saves and loads it, and a constructor of learning rate and options.
 */
export abstract class ScheduledOptimizer extends FtpOptimizer {
  private rate: LearningRate;
  /** Whether the rate is a saved value of a function that has not been set again. */
  private scheduleLost: boolean;
  private warned = false;

  /** @internal */
  constructor(method: Method, learningRate: LearningRate, options: OptimizerOptions) {
    super(method, options);
    checkLearningRateOrSchedule(learningRate);
    // A schedule's description; or whether there was another function, which cannot be saved.
    const saved = restoredConfig(options)?.schedule;
    this.rate = saved !== null && typeof saved === 'object' ? restoreSchedule(saved) : learningRate;
    this.scheduleLost = saved === true;
    this.learning?.setRate(this.rate);
  }

  /**
   * The learning rate of the next step (0-based `iterations`). Settable between steps, to a finite number
   * >= 0 or to a function of the step.
   *
   * Where it is learned (option `learn`): what the last step used, or where it starts; with a schedule, the schedule's value
   * times the learned factor. Setting a number lets the learning start anew from it; a function after a function keeps the
   * factor. With `scope: 'variable'`, the value that all variables started at: `learned()` tells each.
   *
   * A schedule of `schedules` is saved with the optimizer. Any other function is not: set it again after loading. A
   * step with the saved value instead warns once.
   *
   * @throws TypeError or RangeError if set to something else, or if the function returns something else; FtpError if
   *   set after `dispose()`.
   */
  get learningRate(): number {
    const rate = this.stepRate();
    return this.learning?.rate(rate) ?? rate;
  }

  set learningRate(value: LearningRate) {
    this.assertUsable();
    checkLearningRateOrSchedule(value);
    this.learning?.setRate(value);
    this.rate = value;
    this.scheduleLost = false;
  }

  /** What was given, before anything is learned. */
  protected override stepRate(): number {
    const { rate } = this;
    return checkLearningRate(typeof rate === 'function' ? rate(this.iterations) : rate);
  }

  /**
   * All options as JSON; of a learning rate function, its present value, and as `schedule` its description if it is one
   * of `schedules`, else that there was one.
   */
  getConfig(): serialization.ConfigDict {
    const { rate } = this;
    const described = isSchedule(rate) ? (rate.config as unknown as serialization.ConfigDict) : null;
    const schedule = described ?? (this.scheduleLost || typeof rate === 'function');
    return { learningRate: this.stepRate(), schedule, ...this.sharedConfig() };
  }

  /** @internal What it does for a user is the base class's to say. */
  override applyGradients(gradients: NamedTensorMap | NamedTensor[]): void {
    super.applyGradients(gradients);
    if (!this.scheduleLost || this.warned) return;
    this.warned = true;
    console.warn(
      'tfjs-ftp: the learning rate was a function when the optimizer was saved, and a function cannot be saved. It ' +
        `stays at ${this.learningRate}, its value then, until optimizer.learningRate is set to the function again`,
    );
  }

  /** The inverse of `getConfig`, called by `tf.loadLayersModel`. */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    const options = optionsFromConfig(config);
    return new cls(config.learningRate, options);
  }
}
