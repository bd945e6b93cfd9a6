/** WiSE-FT: weights between the pre-trained and the fine-tuned ones. */

import { add, clone, dispose, div, maximum, mul, onesLike, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { checkChoice, checkNumber, checkOptionKeys, describe } from '../validate.js';
import type { ModelLike } from '../variables/output_axis.js';
import {
  assign,
  checkModel,
  type LayerWeight,
  matchWeights,
  nodesOf,
  type WeightsLike,
  weightsIn,
} from './model.js';

/** How much each weight matters to either end: Fisher information, the mean squared gradient of the log-likelihood. */
export interface FisherWeights {
  /** Of the anchor, by weight name; a weight without an entry counts as 1 everywhere. */
  anchor: WeightsLike;
  /** Of the fine-tuned model. */
  model: WeightsLike;
}

/** Options of `recipes.interpolate`. */
export interface InterpolateOptions {
  /** Weighs each weight of either end by what it matters there. Default: all alike. */
  fisher?: FisherWeights;
}

/** Options of {@link interpolateSweep}. */
export interface InterpolateSweepOptions extends InterpolateOptions {
  /**
   * Scores the model as it stands, with the weights of `alpha`; higher is better. Give minus the loss for a loss. It must
   * not change the weights.
   */
  evaluate: (alpha: number) => number | Promise<number>;
  /** What to try, each from 0 (the anchor) to 1 (the fine-tuned weights); default 0, 0.1, ..., 1. */
  alphas?: readonly number[];
  /** The weights that the model has afterwards: those of the best alpha, or its own; default `'own'`. */
  keep?: 'best' | 'own';
}

/** The score of one mixture. */
export interface InterpolationScore {
  alpha: number;
  score: number;
}

/** What {@link interpolateSweep} found. */
export interface InterpolationSweep {
  /** In the order of `alphas`. */
  table: InterpolationScore[];
  /** The highest score; of equal ones the first, which is the nearest to the anchor where `alphas` rises. */
  best: InterpolationScore;
}

/** Fisher information below this counts as this much. */
const FISHER_FLOOR = 1e-8;
const TENTHS = 10;

/** One weight at both ends; tensors are those of their owners. */
interface Ends {
  anchor: Tensor;
  fisherAnchor: Tensor | undefined;
  fisherModel: Tensor | undefined;
}

/** Everything is checked before anything is written. */
function findEnds(
  weights: readonly LayerWeight[],
  anchor: WeightsLike,
  fisher: FisherWeights | undefined,
): Ends[] {
  const anchors = matchWeights('anchor', weights, anchor);
  if (fisher !== undefined) checkOptionKeys('fisher', fisher, ['anchor', 'model']);
  const none: (Tensor | undefined)[] = [];
  const ofAnchor = fisher === undefined ? none : matchWeights('fisher.anchor', weights, fisher.anchor, true);
  const ofModel = fisher === undefined ? none : matchWeights('fisher.model', weights, fisher.model, true);
  return anchors.map((tensor, i) => ({
    anchor: tensor as Tensor,
    fisherAnchor: ofAnchor[i],
    fisherModel: ofModel[i],
  }));
}

/** (1 - alpha) A + alpha W, weighed by Fisher information where either end has some. */
function mix(alpha: number, { anchor, fisherAnchor, fisherModel }: Ends, tuned: Tensor): Tensor {
  if (fisherAnchor === undefined && fisherModel === undefined) {
    return add(mul(anchor, 1 - alpha), mul(tuned, alpha));
  }
  const share = (part: number, fisher = onesLike(tuned)) => mul(maximum(fisher, FISHER_FLOOR), part);
  const ofAnchor = share(1 - alpha, fisherAnchor);
  const ofModel = share(alpha, fisherModel);
  return div(add(mul(ofAnchor, anchor), mul(ofModel, tuned)), add(ofAnchor, ofModel));
}

function writeMixture(
  alpha: number,
  weights: readonly LayerWeight[],
  ends: readonly Ends[],
  tuned: readonly Tensor[],
) {
  // Computed in full first: the anchor may be the model itself.
  const mixed = tidy(() => weights.map((_, i) => mix(alpha, ends[i] as Ends, tuned[i] as Tensor)));
  for (const [i, weight] of weights.entries()) assign(weight, mixed[i] as Tensor);
  dispose(mixed);
}

/**
 * Replaces the weights of a fine-tuned model by a mixture with those it started from (WiSE-FT):
 *
 * ```
 * W(alpha) = (1 - alpha) A + alpha W                                                     without fisher
 * W(alpha) = ((1 - alpha) F_a A + alpha F_w W) / ((1 - alpha) F_a + alpha F_w)           with; F floored at 1e-8
 * ```
 *
 * for all weights, statistics of batch normalization too. With both ends in one basin of the loss, which fine-tuning with a
 * moderate learning rate keeps to, the mixture is often better than the fine-tuned model on other data, and no worse on the
 * task.
 *
 * @param model a `tf.LayersModel` with the fine-tuned weights, changed in place.
 * @param anchor the weights that fine-tuning started from: of `recipes.copyWeights`, by names, or a LayersModel of the same
 *   layers. It needs every weight of the model, the head's too: for a new head, take the weights after a
 *   `recipes.linearProbe`. They stay yours.
 * @param alpha from 0 (the anchor) to 1 (the model as it is); 0.5 is the authors' choice where nothing is known.
 * @param options see {@link InterpolateOptions}.
 * @throws TypeError or RangeError, which names the parameter, for a wrong one, and for weights that are missing, left over, or
 *   of another shape. The model is then as before.
 *
 * @example
 * ```ts
 * const pretrained = recipes.copyWeights(model);
 * model.compile({ optimizer: ftp.adamw(1e-3, { model }), loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { epochs: 2, verbose: 0 });
 * recipes.interpolate(model, pretrained, 0.5);
 * tf.dispose(pretrained);
 * ```
 *
 * Source: Wortsman et al.: Robust Fine-Tuning of Zero-Shot Models, CVPR 2022, arXiv 2109.01903; authors' code
 * github.com/mlfoundations/wise-ft, `src/wise_ft.py`.
 */
export function interpolate(
  model: ModelLike,
  anchor: WeightsLike,
  alpha: number,
  options: InterpolateOptions = {},
): void {
  checkModel('model', model);
  checkNumber('alpha', alpha, { min: 0, max: 1 });
  checkOptionKeys('options', options, ['fisher']);
  const weights = weightsIn(nodesOf(model));
  const ends = findEnds(weights, anchor, options.fisher);
  const tuned = weights.map((weight) => weight.read());
  writeMixture(alpha, weights, ends, tuned);
}

/**
 * Scores the mixtures of a fine-tuned model with the weights it started from, alpha by alpha; see `recipes.interpolate`.
 *
 * @param model a `tf.LayersModel` with the fine-tuned weights. While `evaluate` runs it has those of one alpha; afterwards its
 *   own, or those of the best alpha.
 * @param anchor as for `recipes.interpolate`.
 * @param options see {@link InterpolateSweepOptions}.
 * @returns the score of each alpha, and the best.
 * @throws TypeError or RangeError, which names the parameter, for a wrong one; whatever `evaluate` throws. The model's weights
 *   are then as before.
 *
 * @example
 * ```ts
 * const start = recipes.copyWeights(model);
 * model.compile({ optimizer: ftp.adamw(1e-3, { model }), loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { epochs: 2, verbose: 0 });
 * const { table, best } = await recipes.interpolateSweep(model, start, {
 *   evaluate: () => -tf.tidy(() => model.evaluate(tf.ones([4, 3]), tf.zeros([4, 2])).dataSync()[0]),
 *   keep: 'best',
 * });
 * console.log(table.length, best.alpha);
 * tf.dispose(start);
 * ```
 */
export async function interpolateSweep(
  model: ModelLike,
  anchor: WeightsLike,
  options: InterpolateSweepOptions,
): Promise<InterpolationSweep> {
  checkModel('model', model);
  checkOptionKeys('options', options, ['evaluate', 'alphas', 'keep', 'fisher']);
  const { evaluate, fisher } = options;
  const keep = checkChoice('keep', options.keep ?? 'own', ['best', 'own']);
  const alphas = checkAlphas(options.alphas);
  if (typeof evaluate !== 'function') {
    throw new TypeError(`evaluate must be a function of alpha that gives a score, got ${describe(evaluate)}`);
  }
  const weights = weightsIn(nodesOf(model));
  // Clones: a model given as the anchor may be trained, or disposed, while `evaluate` is awaited.
  const ends = findEnds(weights, anchor, fisher).map(({ anchor: a, fisherAnchor, fisherModel }) => ({
    anchor: clone(a),
    fisherAnchor: fisherAnchor && clone(fisherAnchor),
    fisherModel: fisherModel && clone(fisherModel),
  }));
  const tuned = weights.map((weight) => clone(weight.read()));
  let best: InterpolationScore | undefined;
  let done = false;
  try {
    const table: InterpolationScore[] = [];
    for (const alpha of alphas) {
      writeMixture(alpha, weights, ends, tuned);
      const score = checkScore(`evaluate(${alpha})`, await evaluate(alpha));
      table.push({ alpha, score });
      if (best === undefined || score > best.score) best = { alpha, score };
    }
    done = true;
    return { table, best: best as InterpolationScore };
  } finally {
    if (done && keep === 'best') writeMixture((best as InterpolationScore).alpha, weights, ends, tuned);
    else for (const [i, weight] of weights.entries()) assign(weight, tuned[i] as Tensor);
    dispose(tuned);
    for (const { anchor: a, fisherAnchor, fisherModel } of ends) {
      dispose([a, fisherAnchor, fisherModel].filter((tensor) => tensor !== undefined));
    }
  }
}

function checkAlphas(alphas: readonly number[] | undefined): readonly number[] {
  if (alphas === undefined) return Array.from({ length: TENTHS + 1 }, (_, i) => i / TENTHS);
  if (!Array.isArray(alphas) || alphas.length === 0) {
    throw new TypeError(`alphas must be an array of numbers from 0 to 1, got ${describe(alphas)}`);
  }
  return alphas.map((alpha, i) => checkNumber(`alphas[${i}]`, alpha, { min: 0, max: 1 }));
}

/** A score: any number but NaN, with which nothing could be compared. */
export function checkScore(name: string, score: unknown): number {
  if (typeof score !== 'number') throw new TypeError(`${name} must give a number, got ${describe(score)}`);
  if (Number.isNaN(score)) throw new RangeError(`${name} must give a number, got NaN`);
  return score;
}
