/** Optimizer classes of a rule, for the rules that need nothing beyond their pieces. */

import { type Optimizer, serialization } from '@tensorflow/tfjs-core';
import { type AdamWUpdateOptions, adamw } from '../methods/adamw.js';
import { compose, type Method, type Rule } from '../methods/method.js';
import { type SgdUpdateOptions, sgd } from '../methods/sgd.js';
import type { LearningRate } from '../options.js';
import type { PerVariableOptions } from '../variables/groups.js';
import type { OptimizerOptions } from './options.js';
import { ScheduledOptimizer } from './scheduled.js';
import { WrapOptimizer } from './wrap.js';

type Scheduled<O> = new (learningRate: LearningRate, options: O) => ScheduledOptimizer;
type Wrap<O> = new (base: Optimizer, options: O) => WrapOptimizer;

type Registrable = serialization.SerializableConstructor<serialization.Serializable> & { name: string };

/** Gives a class its name, by which tfjs saves and loads it. */
function named<C>(Made: C, className: string): C {
  Object.defineProperty(Made, 'name', { value: className });
  Object.defineProperty(Made, 'className', { get: () => className });
  serialization.registerClass(Made as Registrable);
  return Made;
}

/** Class `className` with a learning rate of its own, registered with tfjs. */
function scheduledClass<O>(method: Method, className: string): Scheduled<O> {
  const Made = class extends ScheduledOptimizer {
    constructor(learningRate: LearningRate, options: O) {
      super(method, learningRate, options as OptimizerOptions);
    }
  };
  return named(Made, className);
}

/** `<prefix>AdamWOptimizer` and `<prefix>SgdOptimizer`. */
export function scheduledClasses<O>(rule: Rule, prefix: string) {
  return {
    AdamW: scheduledClass<O & AdamWUpdateOptions & PerVariableOptions>(
      compose(adamw, rule),
      `${prefix}AdamWOptimizer`,
    ),
    Sgd: scheduledClass<O & SgdUpdateOptions & PerVariableOptions>(
      compose(sgd, rule),
      `${prefix}SgdOptimizer`,
    ),
  };
}

/** `<prefix>WrapOptimizer`, around any other optimizer. */
export function wrapClass<O>(rule: Rule, prefix: string): Wrap<O> {
  const Made = class extends WrapOptimizer {
    constructor(base: Optimizer, options: O) {
      super(rule, base, options as OptimizerOptions);
    }
  };
  return named(Made, `${prefix}WrapOptimizer`);
}
