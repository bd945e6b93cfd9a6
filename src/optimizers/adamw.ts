import { serialization } from '@tensorflow/tfjs-core';
import { adamw } from '../methods/adamw.js';
import { ftp } from '../methods/ftp.js';
import { compose } from '../methods/method.js';
import type { LearningRate } from '../options.js';
import type { FtpAdamWOptions } from './options.js';
import { ScheduledOptimizer } from './scheduled.js';

/** FTP around AdamW. `ftp.adamw` makes one and has the equations, {@link FtpOptimizer} has the members. */
export class FtpAdamWOptimizer extends ScheduledOptimizer {
  /** Name under which tfjs saves and loads this class. */
  static get className(): string {
    return 'FtpAdamWOptimizer';
  }

  constructor(learningRate: LearningRate, options: FtpAdamWOptions = {}) {
    super(compose(adamw, ftp), learningRate, options);
  }
}

serialization.registerClass(FtpAdamWOptimizer);
