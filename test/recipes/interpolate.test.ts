// WiSE-FT: the authors' numbers, sweeps, and what is left as it was.
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { recipes } from '../../src/index.js';
import {
  changed,
  examples,
  expectWeights,
  fixture,
  named,
  net,
  type StoredParam,
  setWeights,
  stored,
  values,
  weightsModel,
  withoutLeak,
} from './support.js';

interface WiseFt {
  tolerance: { params_rel: number };
  params: StoredParam[];
  fisher_anchor: Record<string, number[]>;
  fisher_init: Record<string, number[]>;
  interpolations: { alpha: number; fisher: boolean; merged: Record<string, number[]> }[];
}

describe("the authors' numbers", () => {
  const { params, fisher_anchor, fisher_init, interpolations, tolerance } = fixture<WiseFt>('wise_ft');

  it('has mixtures with and without Fisher weights', () => {
    expect(interpolations.map(({ alpha, fisher }) => `${alpha} ${fisher}`)).toHaveLength(8);
    expect(Object.keys(fisher_anchor).length).toBeLessThan(params.length); // one has no entry
  });

  it.each(interpolations)('alpha $alpha, Fisher weights $fisher', async ({ alpha, fisher, merged }) => {
    const model = weightsModel(params);
    const [tuned, anchor] = [stored(model, params, 'init'), stored(model, params, 'anchor')];
    setWeights(model, tuned);
    const weights = {
      anchor: named(model, params, (name) => fisher_anchor[name]),
      model: named(model, params, (name) => fisher_init[name]),
    };
    await withoutLeak(async () =>
      recipes.interpolate(model, anchor, alpha, fisher ? { fisher: weights } : {}),
    );
    expectWeights(model, merged, tolerance.params_rel);
    expect(Object.keys(merged)).toHaveLength(params.length);
  });
});

/** A model that has moved away from its anchor. */
async function moved(): Promise<{ model: tf.LayersModel; anchor: tf.NamedTensorMap }> {
  const model = net();
  const anchor = recipes.copyWeights(model);
  const { xs, ys } = examples(8, 3);
  const optimizer = tf.train.sgd(0.1);
  model.compile({ optimizer, loss: 'meanSquaredError' });
  for (let step = 0; step < 3; ++step) await model.trainOnBatch(xs, ys);
  tf.dispose([xs, ys]);
  optimizer.dispose();
  return { model, anchor };
}

/** Of the anchor, under the names within the model. */
function anchorValues(model: tf.LayersModel, anchor: tf.NamedTensorMap): Record<string, number[]> {
  const weights = model.layers.flatMap((layer) => layer.weights);
  return Object.fromEntries(
    weights.map(({ originalName, name }) => [originalName, [...anchor[name]!.dataSync()]]),
  );
}

describe('interpolate', () => {
  it('takes all weights, statistics too, and gives the ends bit for bit', async () => {
    const { model, anchor } = await moved();
    const [tuned, start] = [values(model), anchorValues(model, anchor)];
    expect(changed(start, tuned)).toHaveLength(Object.keys(tuned).length);
    recipes.interpolate(model, anchor, 1);
    expect(values(model)).toEqual(tuned);
    recipes.interpolate(model, anchor, 0.25);
    for (const [name, list] of Object.entries(values(model))) {
      for (const [i, value] of list.entries()) {
        expect(value).toBeCloseTo(0.75 * start[name]![i]! + 0.25 * tuned[name]![i]!, 6);
      }
    }
    recipes.interpolate(model, anchor, 0);
    expect(values(model)).toEqual(start);
    expect(anchorValues(model, anchor)).toEqual(start);
  });

  it('takes another model as the anchor, whatever is trainable in either', async () => {
    const { model } = await moved();
    const other = net(5);
    // The order of getWeights() changes with this.
    other.layers[0]!.trainable = false;
    model.layers[1]!.trainable = false;
    const start = values(other);
    recipes.interpolate(model, other, 0);
    expect(values(model)).toEqual(start);
    expect(values(other)).toEqual(start);
  });

  it('takes names that are the same but for the suffix of another process', async () => {
    const { model, anchor } = await moved();
    const start = anchorValues(model, anchor);
    const saved = Object.fromEntries(
      Object.entries(anchor).map(([name, tensor]) => [name.replace(/_\d+$/, ''), tensor]),
    );
    recipes.interpolate(model, saved, 0);
    expect(values(model)).toEqual(start);
  });

  it('is as it was with itself as the anchor', async () => {
    const { model } = await moved();
    const before = values(model);
    recipes.interpolate(model, model, 0.5);
    expect(values(model)).toEqual(before);
  });

  it('refuses what does not fit, and changes nothing then', async () => {
    const { model, anchor } = await moved();
    const before = values(model);
    const name = model.getLayer('head').weights[0]!.name;
    const { [name]: _, ...missing } = anchor;
    const disposed = tf.ones([5, 2]);
    disposed.dispose();
    const refuse = (
      given: unknown,
      alpha: number,
      type: new () => Error,
      message: string | RegExp,
      options?: object,
    ) => {
      const run = () => recipes.interpolate(model, given as never, alpha, options);
      expect(run).toThrow(message);
      expect(run).toThrow(type);
      expect(values(model)).toEqual(before);
    };
    refuse(anchor, 1.1, RangeError, 'alpha must be a finite number >= 0 and <= 1, got 1.1');
    refuse(anchor, '1' as never, TypeError, "alpha must be a finite number >= 0 and <= 1, got '1'");
    refuse(
      missing,
      0.5,
      RangeError,
      `anchor must have every weight of the model, got none for '${name}' [5,2]`,
    );
    refuse(
      { ...anchor, [name]: tf.ones([5, 3]) },
      0.5,
      RangeError,
      `anchor['${name}'] must have the shape [5,2]`,
    );
    refuse({ ...anchor, [name]: tf.ones([5, 2], 'int32') }, 0.5, TypeError, 'a tensor of int32');
    refuse({ ...anchor, [name]: disposed }, 0.5, RangeError, `anchor['${name}'] is disposed`);
    refuse({ ...anchor, else: tf.ones([1]) }, 0.5, RangeError, "got 'else', which the model does not have");
    refuse(
      model.getWeights(),
      0.5,
      TypeError,
      'anchor must be a tf.LayersModel or map weight names to tensors, got an array',
    );
    refuse(
      tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2] })] }),
      0.5,
      RangeError,
      'got a model with 2',
    );
    refuse(anchor, 0.5, TypeError, "fisher has no option 'anchors'", { fisher: { anchors: anchor } });
    refuse(anchor, 0.5, RangeError, "fisher.model must have weights of the model alone, got 'x'", {
      fisher: { anchor: {}, model: { x: tf.ones([1]) } },
    });
  });
});

describe('copyWeights', () => {
  it('does not change when the model is trained', async () => {
    const { model, anchor } = await moved();
    expect(Object.keys(anchor).sort()).toEqual(model.weights.map(({ name }) => name).sort());
    expect(changed(anchorValues(model, anchor), values(net()))).toEqual([]);
  });
});

describe('interpolateSweep', () => {
  it('scores 0 to 1 by 0.1, and puts the weights back', async () => {
    const { model, anchor } = await moved();
    const before = values(model);
    const alphas: number[] = [];
    const seen: number[] = [];
    const kernel = () => model.getLayer('head').weights[0]!.read().dataSync()[0] as number;
    const { table, best } = await withoutLeak(() =>
      recipes.interpolateSweep(model, anchor, {
        evaluate: async (alpha) => {
          alphas.push(alpha);
          seen.push(kernel());
          return -((alpha - 0.42) ** 2);
        },
      }),
    );
    expect(alphas).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]);
    expect(table.map(({ alpha }) => alpha)).toEqual(alphas);
    expect(best).toEqual({ alpha: 0.4, score: table[4]!.score });
    expect(values(model)).toEqual(before);
    // Each alpha is a mixture of the two ends, not of what the alpha before left.
    for (const [i, value] of seen.entries()) {
      expect(value).toBeCloseTo((1 - i / 10) * seen[0]! + (i / 10) * seen[10]!, 6);
    }
  });

  it('can set the best, which of equals is the nearest to the anchor', async () => {
    const { model, anchor } = await moved();
    const expected = (await moved()).model;
    recipes.interpolate(expected, anchor, 0.25);
    const { best } = await withoutLeak(() =>
      recipes.interpolateSweep(model, anchor, {
        ...{ alphas: [0, 0.25, 0.5, 1], keep: 'best', evaluate: (alpha) => (alpha === 0 ? 0 : 1) },
      }),
    );
    expect(best).toEqual({ alpha: 0.25, score: 1 });
    expect(values(model)).toEqual(values(expected));
  });

  it('survives that the anchor is disposed or trained meanwhile', async () => {
    const { model, anchor } = await moved();
    const start = anchorValues(model, anchor);
    await recipes.interpolateSweep(model, anchor, {
      alphas: [1, 0],
      keep: 'best',
      evaluate: (alpha) => {
        if (alpha === 1) tf.dispose(anchor);
        return -alpha;
      },
    });
    expect(values(model)).toEqual(start);
  });

  it.each<[object, new (message?: string) => Error, string]>([
    [
      {
        evaluate: () => {
          throw new Error('stop here');
        },
      },
      Error,
      'stop here',
    ],
    [{ evaluate: () => Number.NaN }, RangeError, 'evaluate(0) must give a number, got NaN'],
    [{ evaluate: async () => [1] }, TypeError, 'evaluate(0) must give a number, got an array'],
    [{ evaluate: 1 }, TypeError, 'evaluate must be a function of alpha'],
    [{ evaluate: () => 1, alphas: [] }, TypeError, 'alphas must be an array of numbers from 0 to 1'],
    [
      { evaluate: () => 1, alphas: [0, 2] },
      RangeError,
      'alphas[1] must be a finite number >= 0 and <= 1, got 2',
    ],
    [{ evaluate: () => 1, keep: 'worst' }, RangeError, "keep must be one of 'best', 'own', got 'worst'"],
  ])('leaves the weights as they were after an error: %o', async (options, type, message) => {
    const { model, anchor } = await moved();
    const before = values(model);
    await withoutLeak(async () => {
      const run = recipes.interpolateSweep(model, anchor, options as never);
      await expect(run).rejects.toThrow(message);
      await expect(run).rejects.toBeInstanceOf(type);
    });
    expect(values(model)).toEqual(before);
  });
});
