/** Failures in the middle of a step, wherever they come from: everything is as before, bytewise, and goes on. */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { Implementation } from '../../src/backends/types.js';
import { type FtpOptimizer, type FtpOptions, ftp, type NamedTensor } from '../../src/index.js';
import { describeImplementations, useBackend } from '../backends/implementations.js';
import { variableWord } from '../kernels/kernel_model.js';
import { randomTensor, randomVariable, stepOnce } from '../optimizers/support.js';
import { codeOf, everything, MAKERS } from './support.js';

const SHAPES: ReadonlyArray<[string, number[]]> = [
  ['a', [3, 4]],
  ['b', [5]],
  ['head/c', [2, 2]],
];

/** Private parts that failures are injected into. */
interface Insides {
  states: {
    selection: { implementation: Implementation & { encoder?: Encoder; access?: { allocate: unknown } } };
  };
}
interface Encoder {
  encode(...args: unknown[]): Int32Array;
}

const insides = (optimizer: FtpOptimizer) =>
  (optimizer as unknown as Insides).states.selection.implementation;

describeImplementations('a failure in the middle of a step', (implementation) => {
  const options: FtpOptions = { implementation: implementation.implementation };
  let variables: tf.Variable[];

  beforeAll(() => useBackend(implementation));
  beforeEach(() => {
    variables = SHAPES.map(([name, shape], i) => randomVariable(name, shape, i));
  });
  afterEach(() => {
    vi.restoreAllMocks();
    tf.disposeVariables();
  });

  /** Two steps, `fail` in between with a new variable `d`, two more steps; without `fail`: the same otherwise. */
  async function run(make: (typeof MAKERS)[string], fail: null | ((optimizer: FtpOptimizer) => void)) {
    for (const [i, [name, shape]] of SHAPES.entries()) {
      const fresh = randomTensor(shape, i);
      (variables.find((variable) => variable.name === name) as tf.Variable).assign(fresh);
      fresh.dispose();
    }
    const d = randomVariable('d', [6], 9);
    const optimizer = make(options);
    stepOnce(optimizer, variables, 1);
    stepOnce(optimizer, variables, 2);
    // As if the user had assigned weights: the deviation is formed anew in the step that fails.
    const assigned = randomTensor([3, 4], 77);
    variables[0]?.assign(assigned);
    assigned.dispose();
    if (fail !== null) {
      const before = await everything(optimizer, [...variables, d]);
      fail(optimizer);
      vi.restoreAllMocks();
      expect(await everything(optimizer, [...variables, d])).toEqual(before);
    }
    stepOnce(optimizer, [...variables, d], 3);
    stepOnce(optimizer, [...variables, d], 4);
    const { weights, state } = await everything(optimizer, [...variables, d]);
    optimizer.dispose();
    d.dispose();
    return { weights, state };
  }

  const all = () => [...variables, tf.engine().registeredVariables.d as tf.Variable];

  it.runIf(implementation.implementation === 'native').each(Object.entries(MAKERS))(
    '%s: native code that refuses a later variable, when outputs of earlier ones are allocated',
    async (_, make) => {
      const failed = await run(make, (optimizer) => {
        const { encoder } = insides(optimizer) as { encoder: Encoder };
        const encode = encoder.encode.bind(encoder);
        vi.spyOn(encoder, 'encode').mockImplementation((...args) => {
          const words = encode(...args).slice();
          const inner = variableWord(words, 1) + 6;
          words[inner] = (words[inner] as number) + 1;
          return words;
        });
        expect(codeOf(() => stepOnce(optimizer, all(), 3))).toBe('NATIVE_FAILURE');
      });
      expect(failed).toEqual(await run(make, null));
    },
  );

  it.runIf(implementation.runs === 'cpu' || implementation.runs === 'wasm')(
    'a backend that has no memory for the last output',
    async () => {
      const make = MAKERS.adamw as (typeof MAKERS)[string];
      const failed = await run(make, (optimizer) => {
        const access = insides(optimizer).access as { allocate: (shape: number[]) => tf.Tensor };
        const allocate = access.allocate;
        let calls = 0;
        vi.spyOn(access, 'allocate').mockImplementation((shape) => {
          if (++calls === 4) throw new Error('out of memory');
          return allocate(shape);
        });
        expect(() => stepOnce(optimizer, all(), 3)).toThrow('out of memory');
      });
      expect(failed).toEqual(await run(make, null));
    },
  );

  it('wrap: a base that throws after it has updated some variables', async () => {
    const make = MAKERS['wrap(adam)'] as (typeof MAKERS)[string];
    const failed = await run(make, (optimizer) => {
      const { base } = optimizer as ReturnType<typeof ftp.wrap>;
      const apply = base.applyGradients.bind(base);
      vi.spyOn(base, 'applyGradients').mockImplementation((gradients) => {
        apply(gradients); // moments, powers of beta and iterations advance, weights move
        throw new Error('the base failed');
      });
      expect(() => stepOnce(optimizer, all(), 3)).toThrow('the base failed');
    });
    expect(failed).toEqual(await run(make, null));
  });

  it('wrap: a base of the user that fails at its second variable', async () => {
    class Careless extends tf.SGDOptimizer {
      count = 0;
      fails = false;
      readonly velocity: tf.Variable[] = [];
      override applyGradients(gradients: tf.NamedTensorMap | NamedTensor[]): void {
        for (const [i, { name, tensor }] of (gradients as NamedTensor[]).entries()) {
          ++this.count;
          if (this.fails && i === 1) throw new Error('careless');
          if (tensor === null) continue;
          const variable = tf.engine().registeredVariables[name] as tf.Variable;
          this.velocity[i] ??= tf.tidy(() => tf.variable(tf.zerosLike(variable)));
          const velocity = this.velocity[i] as tf.Variable;
          tf.tidy(() => {
            velocity.assign(tf.add(tf.mul(velocity, 0.5), tensor));
            variable.assign(tf.sub(variable, tf.mul(velocity, 0.01)));
          });
        }
        this.incrementIterations();
      }
      override dispose(): void {
        tf.dispose(this.velocity);
      }
    }
    const make = () => ftp.wrap(new Careless(0.01), options);
    const failed = await run(make, (optimizer) => {
      const base = (optimizer as ReturnType<typeof make>).base as Careless;
      base.fails = true;
      const inside = () => [base.count, base.iterations, base.velocity.map((v) => v.dataSync().slice())];
      const before = inside();
      expect(() => stepOnce(optimizer, all(), 3)).toThrow('careless');
      base.fails = false;
      expect(inside()).toEqual(before);
    });
    expect(failed).toEqual(await run(make, null));
  });

  it('wrap: a variable that was new in a failed step, and is gone, is forgotten', () => {
    const optimizer = ftp.wrap(tf.train.adam(0.01), options);
    stepOnce(optimizer, variables, 1);
    const gone = randomVariable('gone', [2], 1);
    const count = tf.memory().numTensors;
    const { base } = optimizer;
    const apply = base.applyGradients.bind(base);
    vi.spyOn(base, 'applyGradients').mockImplementationOnce((gradients) => {
      apply(gradients);
      throw new Error('the base failed');
    });
    expect(() => stepOnce(optimizer, [gone, ...variables], 2)).toThrow('the base failed');
    expect(tf.memory().numTensors).toBe(count); // the base's new moments too
    gone.dispose();
    const late = randomVariable('late', [3], 2);
    stepOnce(optimizer, [...variables, late], 2); // tfjs's Adam would look for `gone`
    expect(optimizer.iterations).toBe(2);
    optimizer.dispose();
  });

  it('wrap: a projection that fails after the base has moved the weights', async () => {
    const make = MAKERS['wrap(adam)'] as (typeof MAKERS)[string];
    const failed = await run(make, (optimizer) => {
      vi.spyOn(insides(optimizer), 'step').mockImplementation(() => {
        throw new Error('injected');
      });
      expect(() => stepOnce(optimizer, all(), 3)).toThrow('injected');
    });
    expect(failed).toEqual(await run(make, null));
  });

  it('functions of the user that throw or return nonsense, named where they are ours to name', async () => {
    let broken = false;
    const breaking: FtpOptions[] = [
      { exclude: (name) => (broken && name === 'd' ? (undefined as unknown as boolean) : name === 'b') },
      { outputAxis: (name) => (broken && name === 'd' ? ('last' as unknown as number) : undefined) },
    ];
    for (const given of breaking) {
      const make = () =>
        ftp.adamw(() => (broken && !('exclude' in given || 'outputAxis' in given) ? -1 : 0.01), {
          ...options,
          ...given,
        });
      const failed = await run(make, (optimizer) => {
        broken = true;
        expect(() => stepOnce(optimizer, all(), 3)).toThrow(TypeError);
        broken = false;
      });
      expect(failed).toEqual(await run(make, null));
    }
    const make = () =>
      ftp.adamw(() => {
        if (broken) throw new Error('no rate today');
        return 0.01;
      }, options);
    const failed = await run(make, (optimizer) => {
      broken = true;
      expect(() => stepOnce(optimizer, all(), 3)).toThrow('no rate today');
      broken = false;
    });
    expect(failed).toEqual(await run(make, null));
  });

  it('a loss that throws in minimize', async () => {
    const make = MAKERS.adamw as (typeof MAKERS)[string];
    const failed = await run(make, (optimizer) => {
      const loss = () => {
        throw new Error('no loss');
      };
      expect(() => optimizer.minimize(loss)).toThrow('no loss');
    });
    expect(failed).toEqual(await run(make, null));
  });
});
