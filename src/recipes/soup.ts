/** Model soups: means of the weights of several fine-tuned models. */

import { add, addN, clone, dispose, mul, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { checkChoice, checkOptionKeys, describe } from '../validate.js';
import type { ModelLike } from '../variables/output_axis.js';
import { checkScore } from './interpolate.js';
import {
  assign,
  checkModel,
  type LayerWeight,
  matchWeights,
  nodesOf,
  WeightSnapshot,
  type WeightsLike,
  weightsIn,
} from './model.js';

/** Options of `recipes.soup`. */
export interface SoupOptions {
  /** `'uniform'`: the mean of all; `'greedy'`: of those that help. Default: greedy with `evaluate`, else uniform. */
  kind?: 'uniform' | 'greedy';
  /**
   * Scores the model as it stands on held-out data; higher is better. Give minus the loss for a loss. It must not change the
   * weights. For a greedy soup, where it must be given; a uniform one does not take it.
   */
  evaluate?: () => number | Promise<number>;
  /** The scores of the candidates alone, where they are known; default: `evaluate` is called for each. */
  scores?: readonly number[];
}

/** One question that a greedy soup asked. */
export interface SoupTrial {
  /** Index of the candidate. */
  candidate: number;
  /** The score of the soup with it. */
  score: number;
  /** Whether it stayed in. */
  added: boolean;
}

/** What `recipes.soup` made. */
export interface SoupResult {
  /** Indices of the candidates that are in the soup, in the order in which they came in. */
  ingredients: number[];
  /** The score of the soup; null for a uniform one. */
  score: number | null;
  /** The scores of the candidates alone; empty for a uniform soup. */
  scores: number[];
  /** A trial for each candidate but the best, from the second best on; empty for a uniform soup. */
  trials: SoupTrial[];
}

function write(weights: readonly LayerWeight[], values: readonly Tensor[]): void {
  for (const [i, weight] of weights.entries()) assign(weight, values[i] as Tensor);
}

function uniform(weights: readonly LayerWeight[], candidates: readonly Tensor[][]): SoupResult {
  const mean = tidy(() =>
    weights.map((_, i) => addN(candidates.map((values) => mul(values[i] as Tensor, 1 / candidates.length)))),
  );
  write(weights, mean);
  dispose(mean);
  return { ingredients: [...candidates.keys()], score: null, scores: [], trials: [] };
}

async function greedy(
  weights: readonly LayerWeight[],
  candidates: readonly Tensor[][],
  evaluate: () => number | Promise<number>,
  known: readonly number[] | undefined,
): Promise<SoupResult> {
  const scoreOf = async (values: readonly Tensor[]) => {
    write(weights, values);
    return checkScore('evaluate', await evaluate());
  };
  const scores: number[] = [...(known ?? [])];
  if (known === undefined) for (const values of candidates) scores.push(await scoreOf(values));
  // A stable sort: of equal scores, the first candidate comes first.
  const order = [...candidates.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number));
  const [first = 0, ...others] = order;
  const ingredients = [first];
  const trials: SoupTrial[] = [];
  let best = scores[first] as number;
  let mean = (candidates[first] as Tensor[]).map((value) => clone(value));
  try {
    for (const candidate of others) {
      const size = ingredients.length;
      const values = candidates[candidate] as Tensor[];
      const trial = tidy(() =>
        mean.map((value, i) => add(mul(value, size / (size + 1)), mul(values[i] as Tensor, 1 / (size + 1)))),
      );
      let added = false;
      try {
        const score = await scoreOf(trial);
        added = score > best;
        trials.push({ candidate, score, added });
        if (added) {
          best = score;
          ingredients.push(candidate);
        }
      } finally {
        // The one that is not needed any more.
        dispose(added ? mean : trial);
      }
      if (added) mean = trial;
    }
    write(weights, mean);
  } finally {
    dispose(mean);
  }
  return { ingredients, score: best, scores, trials };
}

/**
 * Sets the weights of a model to a mean of those of several models that were fine-tuned from the same start, with other
 * learning rates, seeds or methods (a model soup). Such a mean is often better than each of them, and costs no more to run.
 *
 * - **uniform**: the mean of all candidates.
 * - **greedy**: begins with the candidate of the highest score, and tries the others in falling order: each comes into the mean
 *   where the score of the new mean is strictly higher. The soup is never worse than the best candidate on the data that
 *   `evaluate` looks at, which must be held out.
 *
 * All weights are averaged, statistics of batch normalization too.
 *
 * @param model a `tf.LayersModel` of the same layers as the candidates, changed in place. Its own weights are no ingredient,
 *   unless they are among the candidates.
 * @param candidates at least one: weights of `recipes.copyWeights`, by names, or LayersModels of the same layers. They stay
 *   yours, and must not change until the soup is made.
 * @param options see {@link SoupOptions}.
 * @returns which candidates are in the soup, and all scores.
 * @throws TypeError or RangeError, which names the parameter, for a wrong one; whatever `evaluate` throws. The model's weights
 *   are then as before.
 *
 * @example
 * ```ts
 * const candidates = [];
 * for (const learningRate of [0.01, 0.1]) {
 *   model.compile({ optimizer: ftp.sgd(learningRate, { model }), loss: 'meanSquaredError' });
 *   await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { epochs: 2, verbose: 0 });
 *   candidates.push(recipes.copyWeights(model));
 * }
 * const evaluate = () => -tf.tidy(() => model.evaluate(tf.ones([4, 3]), tf.zeros([4, 2])).dataSync()[0]);
 * const { ingredients, score } = await recipes.soup(model, candidates, { evaluate });
 * console.log(ingredients, score);
 * tf.dispose(candidates);
 * ```
 *
 * Source: Wortsman et al.: Model Soups, ICML 2022, arXiv 2203.05482; authors' code github.com/mlfoundations/model-soups,
 * `main.py`.
 */
export async function soup(
  model: ModelLike,
  candidates: readonly WeightsLike[],
  options: SoupOptions = {},
): Promise<SoupResult> {
  checkModel('model', model);
  checkOptionKeys('options', options, ['kind', 'evaluate', 'scores']);
  const { evaluate, scores } = options;
  const kind = checkChoice('kind', options.kind ?? (evaluate === undefined ? 'uniform' : 'greedy'), [
    'uniform',
    'greedy',
  ]);
  if (!Array.isArray(candidates)) {
    throw new TypeError(`candidates must be an array of models or weights, got ${describe(candidates)}`);
  }
  if (candidates.length === 0) throw new RangeError('candidates must be at least one, got none');
  checkScoring(kind, evaluate, scores, candidates.length);
  const weights = weightsIn(nodesOf(model));
  const matched = candidates.map((candidate, i) => matchWeights(`candidates[${i}]`, weights, candidate));
  // Clones, since the model itself may be a candidate, and is written to.
  const values = matched.map((tensors) => tensors.map((tensor) => clone(tensor as Tensor)));
  const before = new WeightSnapshot(weights);
  try {
    if (kind === 'uniform') return uniform(weights, values);
    return await greedy(weights, values, evaluate as () => number, scores);
  } catch (error) {
    before.restore();
    throw error;
  } finally {
    before.dispose();
    dispose(values);
  }
}

function checkScoring(kind: string, evaluate: unknown, scores: unknown, count: number): void {
  if (kind === 'uniform') {
    const given = evaluate !== undefined ? 'evaluate' : 'scores';
    if (evaluate !== undefined || scores !== undefined) {
      throw new TypeError(
        `${given} must not be given for a uniform soup, got ${describe(evaluate ?? scores)}`,
      );
    }
    return;
  }
  if (typeof evaluate !== 'function') {
    throw new TypeError(`evaluate must be a function that gives a score, got ${describe(evaluate)}`);
  }
  if (scores === undefined) return;
  if (!Array.isArray(scores)) throw new TypeError(`scores must be an array, got ${describe(scores)}`);
  if (scores.length !== count)
    throw new RangeError(`scores must have ${count} numbers, got ${scores.length}`);
  for (const [i, score] of scores.entries()) checkScore(`scores[${i}]`, score);
}
