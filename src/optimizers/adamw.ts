import { serialization } from '@tensorflow/tfjs-core';
import type { BaseConfig, Hyper } from '../backends/types.js';
import type { AdamWUpdateOptions } from '../options.js';
import { ADAMW_KEYS, resolveAdamWOptions } from '../validate.js';
import {
  FTP_ADAMW_KEYS,
  FTP_KEYS,
  type FtpAdamWOptions,
  type LearningRate,
  optionsFromConfig,
} from './options.js';
import { ScheduledFtpOptimizer } from './scheduled.js';

/** FTP around AdamW; `ftp.adamw` makes one and documents it. */
export class FtpAdamWOptimizer extends ScheduledFtpOptimizer {
  /** Name under which tfjs saves and loads this class. */
  static get className(): string {
    return 'FtpAdamWOptimizer';
  }

  private readonly base: Required<AdamWUpdateOptions>;

  constructor(learningRate: LearningRate, options: FtpAdamWOptions = {}) {
    super(learningRate, options, FTP_ADAMW_KEYS);
    this.base = resolveAdamWOptions(options);
  }

  protected baseConfig(): BaseConfig {
    return { base: 'adamw', amsgrad: this.base.amsgrad, momentum: false };
  }

  protected hyper(): Hyper {
    const { beta1, beta2, epsilon, weightDecay } = this.base;
    const unused = { momentum: 0, dampening: 0, nesterov: false };
    return { ...this.sharedHyper(), beta1, beta2, epsilon, weightDecay, ...unused };
  }

  /** All options as JSON; of a learning rate function, its present value. */
  getConfig(): serialization.ConfigDict {
    return { learningRate: this.learningRate, ...this.base, ...this.ftpConfig() };
  }

  /** The inverse of {@link getConfig}, called by `tf.loadLayersModel`. */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    return new cls(config.learningRate, optionsFromConfig(config, [...ADAMW_KEYS, ...FTP_KEYS]));
  }
}

serialization.registerClass(FtpAdamWOptimizer);
