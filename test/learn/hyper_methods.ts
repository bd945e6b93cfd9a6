/** Every base update and rule with options under which all of their numbers have a derivative. */
import { adamw } from '../../src/methods/adamw.js';
import { digrap } from '../../src/methods/digrap.js';
import { fixedRadius } from '../../src/methods/fixed_radius.js';
import { ftp } from '../../src/methods/ftp.js';
import { l2sp } from '../../src/methods/l2_sp.js';
import type { BaseUpdate, Rule } from '../../src/methods/method.js';
import { none } from '../../src/methods/none.js';
import { sgd } from '../../src/methods/sgd.js';
import { spd } from '../../src/methods/spd.js';

export const BASES: Array<[string, BaseUpdate, object]> = [
  ['adamw', adamw as BaseUpdate, { beta1: 0.8, beta2: 0.95, epsilon: 1e-4 }],
  ['adamw, decay', adamw as BaseUpdate, { beta1: 0.7, beta2: 0.9, weightDecay: 0.3 }],
  ['adamw, amsgrad', adamw as BaseUpdate, { beta1: 0.9, beta2: 0.5, weightDecay: 0.1, amsgrad: true }],
  ['sgd', sgd as BaseUpdate, {}],
  ['sgd, decay', sgd as BaseUpdate, { weightDecay: 0.4 }],
  ['sgd, momentum', sgd as BaseUpdate, { momentum: 0.8, dampening: 0.3, weightDecay: 0.2 }],
  ['sgd, nesterov', sgd as BaseUpdate, { momentum: 0.7, nesterov: true, weightDecay: 0.2 }],
];

export const RULES: Array<[string, Rule, object]> = [
  ['none', none as Rule, {}],
  ['ftp', ftp as Rule, { constraintLearningRate: 0.4 }],
  ['fixedRadius mars', fixedRadius as Rule, { radius: 1.3 }],
  ['fixedRadius frobenius', fixedRadius as Rule, { radius: 1.1, norm: 'frobenius' }],
  ['fixedRadius frobenius, not cut', fixedRadius as Rule, { radius: 100, norm: 'frobenius' }],
  ['spd', spd as Rule, { strength: 0.7 }],
  ['spd rows', spd as Rule, { strength: 1.5, rows: true }],
  ['l2sp', l2sp as Rule, { strength: 0.6 }],
  ['l2sp coupled', l2sp as Rule, { strength: 0.6, coupled: true }],
  ['digrap', digrap as Rule, { strengthLearningRate: 0.5 }],
];
