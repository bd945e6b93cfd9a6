/** Optimizer classes of a rule, for the rules that need nothing beyond their pieces. */

import { type Optimizer, serialization } from '@tensorflow/tfjs-core';
import { type AdamWUpdateOptions, adamw } from '../methods/adamw.js';
import { compose, type Method, type Rule } from '../methods/method.js';
import { type SgdUpdateOptions, sgd } from '../methods/sgd.js';
import type { LearningRate } from '../options.js';
import type { OptimizerOptions } from './options.js';
import { ScheduledOptimizer } from './scheduled.js';
import { WrapOptimizer } from './wrap.js';

type Scheduled<O> = new (learningRate: LearningRate, options: O) => ScheduledOptimizer;
type Wrap<O> = new (base: Optimizer, options: O) => WrapOptimizer;

/** Class `className` with a learning rate of its own, registered with tfjs. */
function scheduledClass<O>(method: Method, className: string): Scheduled<O> {
  class Made extends ScheduledOptimizer {
    static get className(): string {
      return className;
    }
    constructor(learningRate: LearningRate, options: O) {
      super(method, learningRate, options as OptimizerOptions);
    }
  }
  Object.defineProperty(Made, 'name', { value: className });
  serialization.registerClass(Made);
  return Made;
}

/** `<prefix>AdamWOptimizer` and `<prefix>SgdOptimizer`. */
export function scheduledClasses<O>(rule: Rule, prefix: string) {
  return {
    AdamW: scheduledClass<O & AdamWUpdateOptions>(compose(adamw, rule), `${prefix}AdamWOptimizer`),
    Sgd: scheduledClass<O & SgdUpdateOptions>(compose(sgd, rule), `${prefix}SgdOptimizer`),
  };
}

/** `<prefix>WrapOptimizer`, around any other optimizer. */
export function wrapClass<O>(rule: Rule, prefix: string): Wrap<O> {
  const className = `${prefix}WrapOptimizer`;
  class Made extends WrapOptimizer {
    static get className(): string {
      return className;
    }
    constructor(base: Optimizer, options: O) {
      super(rule, base, options as OptimizerOptions);
    }
  }
  Object.defineProperty(Made, 'name', { value: className });
  serialization.registerClass(Made);
  return Made;
}
