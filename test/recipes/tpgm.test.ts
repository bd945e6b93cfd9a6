// TPGM: the authors' radii, gradients and projections; held-out batches; what is left as it was.
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { fixedRadius, recipes } from '../../src/index.js';
import {
  dataset,
  examples,
  expectWeights,
  fixture,
  named,
  nameIn,
  net,
  type StoredParam,
  setWeights,
  stored,
  values,
  weightsModel,
  withoutLeak,
} from './support.js';

interface Tpgm {
  options: { proj_lr: number; exclude_list: string[] };
  tolerance: { params_rel: number; constraint_rel: number; constraint_grad_rel: number };
  params: (StoredParam & { kind: string })[];
  projections: {
    first_call: boolean;
    constraint_in: Record<string, number> | null;
    constraint_used: Record<string, number>;
    projected: Record<string, number[]>;
  }[];
  update: {
    steps: {
      grads: Record<string, number[]>;
      loss: number;
      constraint_used: Record<string, number>;
      constraint_grad: Record<string, number>;
      constraint_after: Record<string, number>;
    }[];
    final_constraint_used: Record<string, number>;
    final_projected: Record<string, number[]>;
  };
}

const EPSILON = 1e-8;

/** The authors' projection: rows are torch's first axis, a vector is one row. */
function authors(norm: 'mars' | 'frobenius'): recipes.BallProjection {
  const rowsOf = (x: tf.Tensor) =>
    tf.reshape(x, [norm === 'mars' && x.rank > 1 ? (x.shape[0] as number) : 1, -1]);
  const norms = (deviation: tf.Tensor) => {
    const rows = rowsOf(deviation);
    return norm === 'mars' ? tf.sum(tf.abs(rows), 1) : tf.sqrt(tf.sum(tf.square(rows), 1));
  };
  return {
    norms,
    project(weights, anchor, radius) {
      const deviation = tf.sub(weights, anchor);
      const ratio = tf.minimum(1, tf.div(radius, tf.add(norms(deviation), EPSILON)));
      const held = tf.mul(rowsOf(deviation), tf.reshape(ratio, [-1, 1]));
      return tf.add(anchor, tf.reshape(held, weights.shape));
    },
  };
}

const unused = { heldOut: examples(2, 1), loss: () => tf.scalar(0) as tf.Scalar };

describe.each([
  { file: 'tpgm_l2', projection: authors('frobenius'), by: 'a projection of its own' },
  { file: 'tpgm_mars', projection: authors('mars'), by: 'a projection of its own' },
  // 'mars' has other rows than torch; see below.
  { file: 'tpgm_l2', projection: 'frobenius' as const, by: "'frobenius'" },
])("the authors' numbers: $file, $by", ({ file, projection }) => {
  const { options, params, projections, update, tolerance } = fixture<Tpgm>(file);
  const balls = params.filter(({ name }) => !options.exclude_list.includes(name));

  function start() {
    const model = weightsModel(params);
    const [tuned, anchor] = [stored(model, params, 'init'), stored(model, params, 'anchor')];
    setWeights(model, tuned);
    tf.dispose(tuned);
    const radii = recipes.tpgm(model, {
      ...unused,
      anchor,
      projection,
      learningRate: options.proj_lr,
      exclude: options.exclude_list,
    });
    tf.dispose(anchor);
    const radiusOf = (name: string) => radii.radius(nameIn(model, name));
    return { model, radii, radiusOf };
  }

  const expectRadii = (radiusOf: (name: string) => number | null, expected: Record<string, number>) => {
    for (const { name } of balls) {
      const value = expected[name] as number;
      const relativeError = Math.abs((radiusOf(name) as number) - value) / value;
      expect(relativeError, name).toBeLessThanOrEqual(tolerance.constraint_rel);
    }
  };

  it('the first projection', async () => {
    const [first] = projections.filter(({ first_call }) => first_call);
    const { model, radii, radiusOf } = start();
    expect(balls.map(({ name }) => radiusOf(name))).toEqual(balls.map(() => null));
    await withoutLeak(() => radii.project());
    expectRadii(radiusOf, first!.constraint_used);
    expectWeights(model, first!.projected, tolerance.params_rel);
    for (const name of options.exclude_list) expect(radiusOf(name)).toBeNull();
    radii.dispose();
  });

  it('projections with given radii, bounded', async () => {
    const given = projections.filter(({ first_call }) => !first_call);
    expect(given).toHaveLength(5);
    for (const { constraint_in, constraint_used, projected } of given) {
      const { model, radii, radiusOf } = start();
      radii.setRadii(
        Object.fromEntries(balls.map(({ name }) => [nameIn(model, name), constraint_in![name] as number])),
      );
      await radii.project();
      expectRadii(radiusOf, constraint_used);
      expectWeights(model, projected, tolerance.params_rel);
      radii.dispose();
    }
  });

  it('ten updates of the radii, and the projection after them', async () => {
    const { model, radii, radiusOf } = start();
    const before = values(model);
    for (const { grads, loss, constraint_after } of update.steps) {
      await withoutLeak(async () => {
        const given = named(model, params, (name) => grads[name]);
        let seen = 0;
        await radii.update(() => {
          const parts = model.weights.map((w) => tf.sum(tf.mul(w.read(), given[w.name] as tf.Tensor)));
          const total = tf.addN(parts) as tf.Scalar;
          seen = total.dataSync()[0] as number;
          return total;
        });
        tf.dispose(given);
        // The loss is that of the projected weights.
        expect(Math.abs(seen - loss) / Math.abs(loss)).toBeLessThan(1e-5);
      });
      expectRadii(radiusOf, constraint_after);
      expect(values(model)).toEqual(before);
    }
    expect(update.steps).toHaveLength(10);
    await radii.project();
    expectRadii(radiusOf, update.final_constraint_used);
    expectWeights(model, update.final_projected, tolerance.params_rel);
    radii.dispose();
  });
});

describe('tpgm in training', () => {
  /** A model, radii for all but its head, and how to train it. */
  function setUp(options: Partial<recipes.TpgmOptions> = {}) {
    const model = net();
    const anchor = recipes.copyWeights(model);
    const radii = recipes.tpgm(model, {
      anchor,
      projection: authors('frobenius'),
      heldOut: examples(10, 2),
      loss: (ys, predictions) => tf.losses.meanSquaredError(ys as tf.Tensor, predictions as tf.Tensor),
      exclude: [{ layer: 'head' }],
      ...options,
    });
    const { xs, ys } = examples(16, 1);
    model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
    const step = () => model.trainOnBatch(xs, ys);
    return { model, anchor, radii, step };
  }

  /** How far each weight is from its anchor, 2-norm. */
  function distances(model: tf.LayersModel, anchor: tf.NamedTensorMap): Record<string, number> {
    return Object.fromEntries(
      model.trainableWeights.map((weight) => [
        weight.name,
        tf.tidy(
          () => tf.norm(tf.sub(weight.read(), anchor[weight.name] as tf.Tensor)).dataSync()[0] as number,
        ),
      ]),
    );
  }

  it('updates on every n-th step, holds the weights within the radii, and leaks nothing', async () => {
    const { model, anchor, radii, step } = setUp({ every: 3, iterations: 2 });
    const updated: boolean[] = [];
    await step();
    await withoutLeak(async () => {
      for (let i = 0; i < 6; ++i) {
        await step();
        updated.push(await radii.afterStep());
      }
    });
    expect(updated).toEqual([false, false, true, false, false, true]);
    for (const [name, distance] of Object.entries(distances(model, anchor))) {
      const radius = radii.radius(name);
      if (name.includes('head')) expect(radius).toBeNull();
      else expect(distance / (radius as number)).toBeLessThan(1 + 1e-4);
    }
    const before = tf.memory().numTensors;
    radii.dispose();
    radii.dispose();
    expect(tf.memory().numTensors).toBe(before - 8); // the anchors of what is trained but for the head
    await expect(radii.afterStep()).rejects.toMatchObject({ code: 'OPTIMIZER_DISPOSED' });
  });

  it('leaves statistics and layers that are not trainable alone', async () => {
    const model = net();
    model.layers[0]!.trainable = false;
    const anchor = recipes.copyWeights(model);
    for (const weight of model.weights) (weight.read() as tf.Variable).assign(tf.add(weight.read(), 1));
    const before = values(model);
    const radii = recipes.tpgm(model, { ...unused, anchor, projection: authors('frobenius') });
    await radii.project();
    const after = values(model);
    const free = Object.keys(before).filter((name) => String(before[name]) === String(after[name]));
    expect(free.sort()).toEqual(
      [
        'body/bias',
        'body/kernel',
        ...['inside_norm', 'norm'].flatMap((n) => [`${n}/moving_mean`, `${n}/moving_variance`]),
      ].sort(),
    );
  });

  it('goes through a dataset again and again, a batch at a time', async () => {
    const sizes: number[] = [];
    const { radii, step } = setUp({
      heldOut: dataset(10, 2, 4),
      loss: (ys, predictions) => {
        sizes.push((ys as tf.Tensor).shape[0] as number);
        return tf.losses.meanSquaredError(ys as tf.Tensor, predictions as tf.Tensor);
      },
    });
    await step();
    await withoutLeak(async () => {
      for (let i = 0; i < 5; ++i) {
        await step();
        await radii.afterStep();
      }
    });
    expect(sizes).toEqual([4, 4, 2, 4, 4]);
    radii.dispose();
  });

  it('lets radii grow where the held-out loss wants it, and shrink where not', async () => {
    // Held-out data that agree with training, and held-out data that want the anchor.
    const radiiAfter = async (heldOut: recipes.TrainingData) => {
      const { model, radii, step } = setUp({ heldOut, every: 5 });
      for (let i = 0; i < 30; ++i) {
        await step();
        await radii.afterStep();
      }
      const name = model.getLayer('body').weights[0]!.name;
      radii.dispose();
      return radii.radius(name) as number;
    };
    const { xs, ys } = examples(16, 1);
    const still = { xs, ys: net().predict(xs) as tf.Tensor };
    expect(await radiiAfter({ xs, ys })).toBeGreaterThan(1.2 * (await radiiAfter(still)));
  });

  it.each([authors('frobenius'), 'mars' as const, 'frobenius' as const])(
    'holds where weights are exactly on their anchor: %s',
    async (projection) => {
      const { model, radii } = setUp({ projection });
      const before = values(model);
      await radii.afterStep();
      expect(values(model)).toEqual(before);
      expect(radii.radius(model.getLayer('body').weights[0]!.name)).toBe(1e-8);
    },
  );

  it("has a finite gradient where one row of several is on its anchor, and takes the layer's rows", async () => {
    const model = tf.sequential({
      layers: [tf.layers.embedding({ inputDim: 3, outputDim: 2, inputLength: 1 })],
    });
    const [table] = model.weights;
    const anchor = { [table!.name]: tf.zeros([3, 2]) };
    table!.write(
      tf.tensor2d([
        [0, 0],
        [3, -1],
        [0.25, 0.25],
      ]),
    );
    // Rows are the embeddings. No projection is given: the default, 'mars'.
    const radii = recipes.tpgm(model, { ...unused, anchor, learningRate: 0.1 });
    radii.setRadii({ [table!.name]: 2 });
    await radii.project();
    const held = [...table!.read().dataSync()];
    for (const [i, value] of [0, 0, 1.5, -0.5, 0.25, 0.25].entries()) expect(held[i]).toBeCloseTo(value, 6);
    // Only the row that is cut has a gradient: (3 - 1) / 4 > 0, and Adam's first step is the rate.
    table!.write(
      tf.tensor2d([
        [0, 0],
        [3, -1],
        [0.25, 0.25],
      ]),
    );
    await radii.update(() => tf.sum(table!.read()) as tf.Scalar);
    expect(radii.radius(table!.name)).toBeCloseTo(1.9, 6);
    radii.dispose();
    tf.dispose(anchor);
  });

  it("'mars' is what fixedRadius holds, row by row", async () => {
    const radius = 0.1;
    const { model, anchor, radii, step } = setUp({ projection: 'mars', exclude: undefined });
    for (let i = 0; i < 3; ++i) await step();
    const free = model.trainableWeights.map((weight) => weight.read().clone());
    const names = model.trainableWeights.map(({ name }) => name);
    radii.setRadii(Object.fromEntries(names.map((name) => [name, radius])));
    await radii.project();
    const projected = model.trainableWeights.map((weight) => [...weight.read().dataSync()]);
    // A step of fixedRadius without a gradient projects what it finds.
    const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
    for (const [i, variable] of variables.entries()) variable.assign(free[i] as tf.Tensor);
    const anchors = Object.fromEntries(names.map((name) => [name, anchor[name] as tf.Tensor]));
    const optimizer = fixedRadius.sgd(1, { model, anchors, radius });
    const zeros = Object.fromEntries(variables.map(({ name, shape }) => [name, tf.zeros(shape)]));
    optimizer.applyGradients(zeros);
    let cut = 0;
    for (const [i, variable] of variables.entries()) {
      const before = free[i]!.dataSync();
      for (const [j, value] of variable.dataSync().entries()) {
        expect(projected[i]![j]).toBeCloseTo(value, 6);
        if (Math.abs(value - (before[j] as number)) > 1e-4) cut += 1;
      }
    }
    expect(cut).toBeGreaterThan(10);
    optimizer.dispose();
    radii.dispose();
    tf.dispose([free, zeros]);
  });

  it.each([
    [
      'the loss',
      {
        loss: () => {
          throw new Error('stop here');
        },
      },
      'stop here',
    ],
    ['a batch', { heldOut: { xs: tf.ones([4, 3]), ys: tf.ones([4, 2]) } }, /shape|Dimension/],
    [
      'a loss that is not a number',
      { loss: (_: unknown, p: tf.Tensor) => tf.mul(tf.mean(p), Number.NaN) },
      /the gradient of the held-out loss/,
    ],
  ])('leaves weights and radii as they were where %s fails', async (_, options, message) => {
    const { model, radii, step } = setUp();
    for (let i = 0; i < 3; ++i) {
      await step();
      await radii.afterStep();
    }
    const broken = setUp(options as never);
    await broken.step();
    const before = values(broken.model);
    await expect(broken.radii.afterStep()).rejects.toThrow(message);
    expect(values(broken.model)).toEqual(before);
    for (const { name, val } of broken.model.trainableWeights as never as {
      name: string;
      val: tf.Variable;
    }[]) {
      expect(broken.radii.radius(name)).toBeNull();
      expect(val.trainable).toBe(true);
    }
    radii.dispose();
    void model;
  });

  it.each<[object, new (message?: string) => Error, string]>([
    [{ projection: {} }, TypeError, 'projection.norms must be a function, got undefined'],
    [{ projection: null }, TypeError, "'frobenius' or an object {norms, project}, got null"],
    [
      { projection: 'l2' },
      RangeError,
      "projection must be 'mars', 'frobenius' or an object {norms, project}, got 'l2'",
    ],
    [{ heldOut: undefined }, TypeError, 'heldOut must be a tf.data.Dataset'],
    [{ loss: 'mse' }, TypeError, "loss must be a function, got 'mse'"],
    [{ every: 0 }, RangeError, 'every must be a whole number from 1'],
    [{ iterations: 0.5 }, RangeError, 'iterations must be a whole number from 1'],
    [{ learningRate: 0 }, RangeError, 'learningRate must be a finite number > 0, got 0'],
    [{ exclude: ['haed'] }, Error, "exclude has 'haed', which matches no variable"],
    [{ anchor: {} }, RangeError, 'anchor must have every weight that is projected, got none for'],
    [{ norm: 'mars' }, TypeError, "options has no option 'norm'"],
  ])('refuses %o', async (options, type, message) => {
    await withoutLeak(async () => {
      const model = weightsModel([{ name: 'w', shape: [2] }]);
      const anchor = recipes.copyWeights(model);
      const run = () =>
        recipes.tpgm(model, { ...unused, anchor, projection: authors('mars'), ...options } as never);
      expect(run).toThrow(message);
      expect(run).toThrow(type);
      tf.dispose(anchor);
      model.dispose();
    });
  });

  it('needs no anchor for an excluded head', () => {
    const { model, anchor } = setUp();
    const body = Object.fromEntries(Object.entries(anchor).filter(([name]) => !name.includes('head')));
    const radii = recipes.tpgm(model, {
      ...{ ...unused, anchor: body, projection: authors('mars'), exclude: [{ layer: 'head' }] },
    });
    radii.dispose();
  });
});
