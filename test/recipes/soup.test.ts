// Model soups: the authors' numbers, and what is left as it was.
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { recipes } from '../../src/index.js';
import {
  expectWeights,
  fixture,
  named,
  net,
  setWeights,
  values,
  weightsModel,
  withoutLeak,
} from './support.js';

interface Soup {
  tolerance: { params_rel: number };
  params: { name: string; shape: number[] }[];
  models: { accuracy: number; weights: Record<string, number[]> }[];
  uniform: Record<string, number[]>;
  greedy: {
    order: number[];
    trials: { model: number; held_out_accuracy: number; added: boolean }[];
    ingredients: number[];
    weights: Record<string, number[]>;
  };
}

describe("the authors' numbers", () => {
  const { params, models, uniform, greedy, tolerance } = fixture<Soup>('soup');
  const model = weightsModel(params);
  const scores = models.map(({ accuracy }) => accuracy);
  let candidates: tf.NamedTensorMap[] = [];

  beforeAll(() => {
    candidates = models.map(({ weights }) => named(model, params, (name) => weights[name]));
  });

  it('uniform', async () => {
    const result = await withoutLeak(() => recipes.soup(model, candidates));
    expectWeights(model, uniform, tolerance.params_rel);
    expect(result).toEqual({ ingredients: [0, 1, 2, 3, 4], score: null, scores: [], trials: [] });
  });

  it('greedy, with the scores of the candidates known', async () => {
    const accuracies = greedy.trials.map((trial) => trial.held_out_accuracy);
    const result = await withoutLeak(() =>
      recipes.soup(model, candidates, { scores, evaluate: () => accuracies.shift() as number }),
    );
    expect(greedy.trials.map(({ added }) => added)).toEqual(expect.arrayContaining([true, false]));
    expect(result.ingredients).toEqual(greedy.ingredients);
    expect([result.ingredients[0], ...result.trials.map(({ candidate }) => candidate)]).toEqual(greedy.order);
    expect(result.trials).toEqual(
      greedy.trials.map((trial) => ({
        candidate: trial.model,
        score: trial.held_out_accuracy,
        added: trial.added,
      })),
    );
    expectWeights(model, greedy.weights, tolerance.params_rel);
  });

  it('greedy, with each candidate scored first', async () => {
    const accuracies = [...scores, ...greedy.trials.map((trial) => trial.held_out_accuracy)];
    const seen: number[] = [];
    const first = params[0]?.name as string;
    const result = await recipes.soup(model, candidates, {
      evaluate: (): number => {
        seen.push(
          model.weights
            .find(({ originalName }) => originalName.endsWith(first))!
            .read()
            .dataSync()[0] as number,
        );
        return accuracies.shift() as number;
      },
    });
    expect(seen.slice(0, scores.length)).toEqual(
      models.map(({ weights }) => Math.fround(weights[first]![0]!)),
    );
    expect(result).toMatchObject({ scores, ingredients: greedy.ingredients });
    expectWeights(model, greedy.weights, tolerance.params_rel);
  });

  it('greedy keeps a candidate only if the score is strictly higher', async () => {
    const result = await recipes.soup(model, candidates, { scores, evaluate: () => Math.max(...scores) });
    expect(result.ingredients).toEqual([greedy.order[0]]);
    expect(result.score).toBe(Math.max(...scores));
    expectWeights(model, models[greedy.order[0] as number]!.weights, 1e-7);
  });
});

describe('soup', () => {
  it('takes models, the model itself among them', async () => {
    const [model, other] = [net(1), net(2)];
    const [a, b] = [values(model), values(other)];
    await withoutLeak(() => recipes.soup(model, [model, other]));
    for (const [name, list] of Object.entries(values(model))) {
      for (const [i, value] of list.entries())
        expect(value).toBeCloseTo((a[name]![i]! + b[name]![i]!) / 2, 6);
    }
    expect(values(other)).toEqual(b);
  });

  it('of equal scores begins with the first', async () => {
    const model = net(1);
    const result = await recipes.soup(model, [net(2), net(3)], { scores: [1, 1], evaluate: () => 0 });
    expect(result.ingredients).toEqual([0]);
  });

  it.each<[object, new (message?: string) => Error, string]>([
    [
      {
        evaluate: (): number => {
          throw new Error('stop here');
        },
      },
      Error,
      'stop here',
    ],
    [{ evaluate: () => Number.NaN, scores: [1, 2] }, RangeError, 'evaluate must give a number, got NaN'],
    [{ kind: 'greedy' }, TypeError, 'evaluate must be a function that gives a score, got undefined'],
    [{ kind: 'uniform', evaluate: () => 1 }, TypeError, 'evaluate must not be given for a uniform soup'],
    [{ kind: 'best' }, RangeError, "kind must be one of 'uniform', 'greedy', got 'best'"],
    [{ evaluate: () => 1, scores: [1] }, RangeError, 'scores must have 2 numbers, got 1'],
    [{ evaluate: () => 1, scores: [1, 'x'] }, TypeError, "scores[1] must give a number, got 'x'"],
    [{ scorer: () => 1 }, TypeError, "options has no option 'scorer'"],
  ])('leaves the weights as they were after an error: %o', async (options, type, message) => {
    const model = net();
    const candidates = [net(2), net(3)];
    const before = values(model);
    await withoutLeak(async () => {
      const run = recipes.soup(model, candidates, options as never);
      await expect(run).rejects.toThrow(message);
      await expect(run).rejects.toBeInstanceOf(type);
    });
    expect(values(model)).toEqual(before);
  });

  it('refuses candidates that do not fit', async () => {
    const model = net();
    const small = weightsModel([{ name: 'w', shape: [2] }]);
    await expect(recipes.soup(model, [])).rejects.toThrow('candidates must be at least one, got none');
    await expect(recipes.soup(model, model as never)).rejects.toThrow('candidates must be an array');
    await expect(recipes.soup(model, [net(), small])).rejects.toThrow(
      'candidates[1] must have the 14 weights',
    );
    setWeights(small, { [small.weights[0]!.name]: tf.ones([2]) });
  });
});
