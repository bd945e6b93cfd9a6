import { serialization } from '@tensorflow/tfjs-core';
import type { BaseConfig, Hyper } from '../backends/types.js';
import type { SgdUpdateOptions } from '../options.js';
import { resolveSgdOptions } from '../validate.js';
import { FTP_SGD_KEYS, type FtpSgdOptions, type LearningRate, optionsFromConfig } from './options.js';
import { ScheduledFtpOptimizer } from './scheduled.js';

/** FTP around SGD. `ftp.sgd` makes one and has the equations, {@link FtpOptimizer} has the members. */
export class FtpSgdOptimizer extends ScheduledFtpOptimizer<Required<SgdUpdateOptions>> {
  /** Name under which tfjs saves and loads this class. */
  static get className(): string {
    return 'FtpSgdOptimizer';
  }

  constructor(learningRate: LearningRate, options: FtpSgdOptions = {}) {
    super(learningRate, options, FTP_SGD_KEYS, resolveSgdOptions);
  }

  protected baseConfig(): BaseConfig {
    return { base: 'sgd', amsgrad: false, momentum: this.base.momentum > 0 };
  }

  protected hyper(): Hyper {
    return { ...this.sharedHyper(), beta1: 0, beta2: 0, epsilon: 0, ...this.base };
  }

  /** The inverse of `getConfig`, called by `tf.loadLayersModel`. */
  static override fromConfig<T extends serialization.Serializable>(
    cls: serialization.SerializableConstructor<T>,
    config: serialization.ConfigDict,
  ): T {
    const options = optionsFromConfig(config, FTP_SGD_KEYS);
    return new cls(config.learningRate, options);
  }
}

serialization.registerClass(FtpSgdOptimizer);
