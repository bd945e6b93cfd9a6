import { serialization } from '@tensorflow/tfjs-core';
import type { BaseConfig, Hyper } from '../backends/types.js';
import type { AdamWUpdateOptions } from '../options.js';
import { resolveAdamWOptions } from '../validate.js';
import { FTP_ADAMW_KEYS, type FtpAdamWOptions, type LearningRate, optionsFromConfig } from './options.js';
import { ScheduledFtpOptimizer } from './scheduled.js';

/** FTP around AdamW. `ftp.adamw` makes one and has the equations, {@link FtpOptimizer} has the members. */
export class FtpAdamWOptimizer extends ScheduledFtpOptimizer<Required<AdamWUpdateOptions>> {
  /** Name under which tfjs saves and loads this class. */
  static get className(): string {
    return 'FtpAdamWOptimizer';
  }

  constructor(learningRate: LearningRate, options: FtpAdamWOptions = {}) {
    super(learningRate, options, FTP_ADAMW_KEYS, resolveAdamWOptions);
  }

  protected baseConfig(): BaseConfig {
    return { base: 'adamw', amsgrad: this.base.amsgrad, momentum: false };
  }

  protected hyper(): Hyper {
    const { beta1, beta2, epsilon, weightDecay } = this.base;
    const unused = { momentum: 0, dampening: 0, nesterov: false };
    return { ...this.sharedHyper(), beta1, beta2, epsilon, weightDecay, ...unused };
  }

  /** The inverse of `getConfig`, called by `tf.loadLayersModel`. */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    const options = optionsFromConfig(config, FTP_ADAMW_KEYS);
    return new cls(config.learningRate, options);
  }
}

serialization.registerClass(FtpAdamWOptimizer);
