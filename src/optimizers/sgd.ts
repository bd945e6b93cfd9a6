import { serialization } from '@tensorflow/tfjs-core';
import { ftp } from '../methods/ftp.js';
import { compose } from '../methods/method.js';
import { sgd } from '../methods/sgd.js';
import type { LearningRate } from '../options.js';
import type { FtpSgdOptions } from './options.js';
import { ScheduledOptimizer } from './scheduled.js';

/** FTP around SGD. `ftp.sgd` makes one and has the equations, {@link FtpOptimizer} has the members. */
export class FtpSgdOptimizer extends ScheduledOptimizer {
  /** Name under which tfjs saves and loads this class. */
  static get className(): string {
    return 'FtpSgdOptimizer';
  }

  constructor(learningRate: LearningRate, options: FtpSgdOptions = {}) {
    super(compose(sgd, ftp), learningRate, options);
  }
}

serialization.registerClass(FtpSgdOptimizer);
