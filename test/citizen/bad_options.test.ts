/** Every option, with values of every wrong type and out of range: which error, and what it says. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import * as methods from '../../src/index.js';
import { digrap, fixedRadius, ftp, l2sp, spd, trac } from '../../src/index.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
  base = tf.train.sgd(1e-3);
});
afterEach(() => tf.disposeVariables());

type Make = (options: Record<string, unknown>) => unknown;

const adamw: Make = (options) => ftp.adamw(1e-3, options);
const sgd: Make = (options) => ftp.sgd(1e-3, options);
/** Stays the test's where the constructor throws. */
let base: tf.Optimizer;
const wrap: Make = (options) => ftp.wrap(base, options);
const all: Record<string, Make> = { adamw, sgd, wrap };

/** The three factories of a method, with the options that it needs. */
function factories<O>(
  name: string,
  of: {
    adamw(rate: number, options: O): unknown;
    sgd(rate: number, options: O): unknown;
    wrap(base: tf.Optimizer, options: O): unknown;
  },
  needed: object = {},
): Record<string, Make> {
  /** What is no options at all is given as it is. */
  const complete = (options: object) =>
    (options?.constructor === Object ? { ...needed, ...options } : options) as O;
  return {
    [`${name}.adamw`]: (options) => of.adamw(1e-3, complete(options)),
    [`${name}.sgd`]: (options) => of.sgd(1e-3, complete(options)),
    [`${name}.wrap`]: (options) => of.wrap(base, complete(options)),
  };
}
const balls = factories('fixedRadius', fixedRadius, { radius: 1 });
const decays = factories('spd', spd);
const pulls = factories('l2sp', l2sp);
const directions = factories('digrap', digrap);
const scales = factories('trac', trac);
const others = { ...balls, ...decays, ...pulls, ...directions, ...scales };
const plain: Record<string, Make> = {
  'plain adamw': (options) => methods.adamw(1e-3, options),
  'plain sgd': (options) => methods.sgd(1e-3, options),
};

/** A value of every type there is, with how error messages show it. */
const SAMPLES: Record<string, [unknown, string]> = {
  null: [null, 'null'],
  boolean: [true, 'true'],
  number: [0.5, '0.5'],
  bigint: [1n, '1n'],
  string: ['0.5', "'0.5'"],
  symbol: [Symbol('x'), 'a symbol'],
  function: [() => 'nothing that fits', 'a function'],
  array: [[0.5], 'an array'],
  object: [{}, 'an object'],
  date: [new Date(0), 'a Date'],
  tensor: [null, 'a Tensor'], // made in the test
};

interface Option {
  makes: Record<string, Make>;
  /** Types that are accepted; `absent` stands for null as well as undefined. */
  types: string[];
  /** Values of an accepted type that are not. */
  ranges: unknown[];
  /** Values at the bounds that are accepted. */
  accepted: unknown[];
  /** Whether it may be left out; default true. */
  optional?: boolean;
}

const unit = { types: ['number'], ranges: [-1e-9, 1, 2, NaN, Infinity, -Infinity], accepted: [0, 0.999999] };
const nonNegative = { types: ['number'], ranges: [-1e-9, NaN, Infinity, -Infinity], accepted: [0, 1e30] };
const closedUnit = { types: ['number'], ranges: [-1e-9, 1.000001, NaN, Infinity], accepted: [0, 1] };
const bound = {
  types: ['number'],
  ranges: [0, -1, NaN, Infinity, -Infinity],
  accepted: [1e-30, 1e30],
};
const flag = { types: ['boolean'], ranges: [], accepted: [false] };

const OPTIONS: Record<string, Option> = {
  beta1: { makes: { adamw, 'plain adamw': plain['plain adamw'] as Make }, ...unit },
  beta2: { makes: { adamw, 'plain adamw': plain['plain adamw'] as Make }, ...unit },
  epsilon: {
    makes: { adamw },
    types: ['number'],
    ranges: [0, -1, NaN, Infinity, 1e-60],
    accepted: [1e-30, 1],
  },
  amsgrad: { makes: { adamw }, ...flag },
  weightDecay: { makes: { adamw, sgd }, ...nonNegative },
  momentum: { makes: { sgd }, ...unit },
  dampening: { makes: { sgd }, ...closedUnit },
  nesterov: { makes: { sgd: (options) => ftp.sgd(1, { momentum: 0.9, ...options }) }, ...flag },
  k: { makes: all, ...closedUnit },
  constraintLearningRate: { makes: all, ...nonNegative },
  constraintBeta1: { makes: all, ...unit },
  constraintBeta2: { makes: all, ...unit },
  hyperGradient: {
    makes: all,
    types: ['string'],
    ranges: ['', 'Paper', 'mask'],
    accepted: ['paper', 'exact'],
  },
  constraintScale: {
    makes: all,
    types: ['string'],
    ranges: ['', 'Relative', 'mean'],
    accepted: ['absolute', 'relative'],
  },
  strength: { makes: { ...decays, ...pulls }, ...nonNegative },
  rows: { makes: decays, ...flag },
  coupled: { makes: pulls, ...flag },
  norm: { makes: balls, types: ['string'], ranges: ['', 'MARS', 'l2'], accepted: ['mars', 'frobenius'] },
  radius: {
    makes: balls,
    types: ['number', 'function'],
    ranges: [0, -1, NaN, Infinity, 1e-60],
    accepted: [1e-30, 1e30, () => null],
    optional: false,
  },
  strengthByDepth: {
    makes: { ...balls, ...decays, ...pulls },
    types: ['string', 'function'],
    ranges: ['', 'Linear', 'toString'],
    accepted: ['linear', 'cosine', () => 1],
  },
  strengthLearningRate: { makes: directions, ...nonNegative },
  strengthBeta1: { makes: directions, ...unit },
  strengthBeta2: { makes: directions, ...unit },
  sInit: { makes: scales, types: ['number'], ranges: [0, -1, NaN, Infinity], accepted: [1e-8, 1] },
  nonFinite: {
    makes: all,
    types: ['string'],
    ranges: ['', 'Throw', 'warn'],
    accepted: ['throw', 'skip', 'ignore'],
  },
  threads: { makes: all, types: ['number'], ranges: [0, -1, 1.5, 257, NaN, Infinity], accepted: [1, 256] },
  implementation: {
    makes: all,
    types: ['string'],
    ranges: ['', 'cuda', 'Native'],
    accepted: ['auto', 'native', 'reference'],
  },
  exclude: {
    makes: all,
    types: ['function', 'array'],
    ranges: [[''], ['a', '']],
    accepted: [[], ['a', /b/], () => true],
  },
  outputAxis: { makes: all, types: ['function'], ranges: [], accepted: [() => null] },
  model: { makes: all, types: [], ranges: [], accepted: [{ layers: [] }] },
  clipNorm: { makes: { ...all, ...plain }, ...bound },
  globalClipNorm: { makes: { ...all, ...plain }, ...bound },
  clipValue: { makes: { ...all, ...plain }, ...bound },
  gradientNorm: { makes: { ...all, ...plain }, ...flag },
  accumulate: {
    makes: { ...all, ...plain },
    types: ['number'],
    ranges: [0, -1, 1.5, 2 ** 31, NaN, Infinity],
    accepted: [1, 2 ** 31 - 1],
  },
  // A date has no options that it could have wrong; a tensor has, of which test/training tells.
  ema: { makes: { ...all, ...plain }, types: ['object', 'date', 'tensor'], ranges: [], accepted: [{}] },
  groups: {
    makes: { ...all, ...plain, ...others },
    types: ['array'],
    ranges: [],
    accepted: [[], [{ match: 'a' }]],
  },
  layerDecay: {
    makes: { adamw, sgd, ...plain },
    types: ['number'],
    ranges: [0, -1, 1.000001, NaN, Infinity],
    accepted: [
      { decay: 1, layers: ['a'] },
      { decay: 1e-9, layers: [[/a/, { rank: 0 }]] },
    ],
  },
  decayMatricesOnly: { makes: { adamw, sgd, ...plain }, ...flag },
  anchors: { makes: all, types: ['object', 'date'], ranges: [], accepted: [{}] },
};

const cases = Object.entries(OPTIONS).flatMap(([option, { makes, ...rest }]) =>
  Object.entries(makes).map(([optimizer, make]) => ({ option, optimizer, make, ...rest })),
);

describe.each(cases)(
  'option $option of $optimizer',
  ({ option, make, types, ranges, accepted, optional = true }) => {
    const attempt = (value: unknown) => () => make({ [option]: value });

    it('of a wrong type: TypeError with the option, and what came', () => {
      const tensor = tf.scalar(0.5);
      const count = tf.memory().numTensors;
      for (const [type, [sample, shown]] of Object.entries({
        ...SAMPLES,
        tensor: [tensor, 'a Tensor'] as const,
      })) {
        // null is accepted nowhere but where it means "not given".
        if (types.includes(type) || (type === 'tensor' && option === 'anchors')) continue;
        if (type === 'array' && option === 'exclude') continue;
        expect(attempt(sample), type).toThrow(TypeError);
        expect(attempt(sample), type).toThrow(new RegExp(`^${option} must .*, got ${shown}$`));
      }
      expect(tf.memory().numTensors).toBe(count);
      tensor.dispose();
    });

    it.runIf(ranges.length > 0)('out of range: RangeError with the option, and what came', () => {
      for (const value of ranges) {
        expect(attempt(value), String(value)).toThrow(RangeError);
        const shown = typeof value === 'string' ? `'${value}'` : Array.isArray(value) ? `''` : String(value);
        expect(attempt(value), String(value)).toThrow(`got ${shown}`);
        expect(attempt(value), String(value)).toThrow(new RegExp(`^${option} must `));
      }
    });

    it('at its bounds: accepted', () => {
      for (const value of accepted) expect(attempt(value), String(value)).not.toThrow();
      if (optional) expect(attempt(undefined)).not.toThrow();
      else expect(attempt(undefined)).toThrow(TypeError);
    });
  },
);

describe('learningRate', () => {
  const makers: Record<string, (rate: unknown) => { learningRate: unknown }> = {
    adamw: (rate) => ftp.adamw(rate as number) as { learningRate: unknown },
    sgd: (rate) => ftp.sgd(rate as number) as { learningRate: unknown },
  };

  it.each(Object.entries(makers))('of %s: a wrong type or value, given or set', (_, make) => {
    const optimizer = make(0.5);
    for (const [type, [sample]] of Object.entries(SAMPLES)) {
      if (type === 'number' || type === 'function') continue;
      expect(() => make(sample), type).toThrow(TypeError);
      expect(() => {
        optimizer.learningRate = sample;
      }, type).toThrow(/^learningRate must be a finite number >= 0/);
    }
    for (const value of [-1e-9, NaN, Infinity, -Infinity]) {
      expect(() => make(value)).toThrow(RangeError);
      expect(() => {
        optimizer.learningRate = value;
      }).toThrow(`learningRate must be a finite number >= 0, got ${value}`);
    }
    expect(() => make(undefined)).toThrow(TypeError);
    expect(optimizer.learningRate).toBe(0.5);
  });

  it('of wrap: that of the base, with the same checks', () => {
    const optimizer = ftp.wrap(tf.train.sgd(0.5)) as { learningRate: unknown };
    for (const [type, [sample]] of Object.entries(SAMPLES)) {
      if (type === 'number') continue;
      expect(() => {
        optimizer.learningRate = sample;
      }, type).toThrow(TypeError);
    }
    for (const value of [-1e-9, NaN, Infinity]) {
      expect(() => {
        optimizer.learningRate = value;
      }).toThrow(RangeError);
    }
    expect(optimizer.learningRate).toBe(0.5);
  });
});

describe('the base of wrap', () => {
  it('must be a tf.Optimizer that does not project itself', () => {
    for (const [type, [sample, shown]] of Object.entries(SAMPLES)) {
      if (type === 'tensor') continue;
      expect(() => ftp.wrap(sample as tf.Optimizer), type).toThrow(TypeError);
      expect(() => ftp.wrap(sample as tf.Optimizer), type).toThrow(
        `base must be a tf.Optimizer, got ${shown}`,
      );
    }
    expect(() => ftp.wrap(ftp.sgd(1))).toThrow(TypeError);
    expect(() => ftp.wrap(ftp.wrap(tf.train.sgd(1)))).toThrow('base must not project itself');
  });
});

describe('the options as a whole', () => {
  it('of fixedRadius: the radius must be given', () => {
    for (const make of Object.values(factories('fixedRadius', fixedRadius))) {
      expect(() => make({})).toThrow(TypeError);
      expect(() => make({})).toThrow(/^radius must be a finite number > 0 or a function .*, got undefined$/);
    }
  });

  it('belong to one method: those of another are refused', () => {
    for (const [name, make] of Object.entries({ ...others, ...plain })) {
      for (const option of ['k', 'hyperGradient', 'constraintScale']) {
        expect(() => make({ [option]: 1 }), name).toThrow(`options has no option '${option}'`);
      }
    }
    for (const make of Object.values(all)) {
      for (const option of ['radius', 'strength', 'strengthByDepth', 'coupled', 'strengthLearningRate']) {
        expect(() => make({ [option]: 1 })).toThrow(`options has no option '${option}'`);
      }
    }
    for (const make of Object.values(plain)) {
      expect(() => make({ anchors: {} })).toThrow("options has no option 'anchors'");
    }
  });

  it.each(Object.entries({ ...all, ...others }))(
    'of %s: no object, or an option that there is none',
    (_, make) => {
      for (const [type, [sample]] of Object.entries(SAMPLES)) {
        if (['object', 'date', 'tensor'].includes(type)) continue;
        expect(() => make(sample as Record<string, unknown>), type).toThrow(TypeError);
      }
      expect(() => make({ anchor: {} })).toThrow(/^options has no option 'anchor'; accepted: .*anchors/);
      expect(() => make({ learningRate: 1 })).toThrow(TypeError);
    },
  );

  it('values within anchors: which one, and what came', () => {
    const wrong: Array<[unknown, typeof TypeError | typeof RangeError, string]> = [
      [null, TypeError, 'got null'],
      [[1, 2], TypeError, 'got an array'],
      [new Float32Array(2), TypeError, 'got a Float32Array'],
      [tf.tensor1d([1, 2], 'int32'), TypeError, 'got a tensor of int32'],
      [tf.tensor1d([true, false], 'bool'), TypeError, 'got a tensor of bool'],
      [{ shape: [1], dtype: 'float32', dataId: {} }, TypeError, 'got an object'],
    ];
    const disposed = tf.tensor1d([1]);
    disposed.dispose();
    wrong.push([disposed, RangeError, 'is disposed']);
    for (const make of Object.values({ ...all, ...others })) {
      const good = tf.tensor1d([1]);
      const count = tf.memory().numTensors;
      for (const [value, type, message] of wrong) {
        expect(() => make({ anchors: { good, bad: value } })).toThrow(type);
        expect(() => make({ anchors: { good, bad: value } })).toThrow(`anchors['bad']`);
        expect(() => make({ anchors: { good, bad: value } })).toThrow(message);
      }
      expect(tf.memory().numTensors).toBe(count); // no copies of `good` are left
      good.dispose();
    }
  });
});
