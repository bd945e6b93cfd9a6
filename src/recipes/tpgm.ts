/** TPGM: radii of projection that are learnt from held-out data. */

import * as tfjs from '@tensorflow/tfjs-core';
import {
  add,
  clone,
  dispose,
  grad,
  keep,
  max,
  min,
  type NamedTensorMap,
  type Scalar,
  scalar,
  stack,
  sub,
  Tensor,
  type TensorContainer,
  tidy,
  type Variable,
  variableGrads,
} from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { type BallNorm, ballNorms, heldInBall } from '../methods/fixed_radius.js';
import { NUMBERS, stepScalar } from '../methods/scalar_adam.js';
import { checkInteger, checkNumber, checkOptionKeys, describe } from '../validate.js';
import { type ExcludeOption, Exclusion } from '../variables/exclude.js';
import { type ModelLike, OutputAxes } from '../variables/output_axis.js';
import { rowsOf } from '../variables/rows.js';
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
import { type Batch, batchesOf, checkData, type ModelTensors, type TrainingData } from './training.js';

/**
 * A projection onto a ball around an anchor. TPGM asks it for norms, to begin and to bound the radii, and differentiates
 * `project` with respect to the radius. Both run in a `tf.tidy`.
 */
export interface BallProjection {
  /** The norms that are held within the radius: of each row, [rows], or of the tensor, [1]. */
  norms(deviation: Tensor, name: string): Tensor;
  /**
   * A + s (W - A), with s <= 1 such that no norm of the result exceeds the radius, in the shape of the weights. It must be made
   * of tfjs operations that have a gradient.
   */
  project(weights: Tensor, anchor: Tensor, radius: Scalar, name: string): Tensor;
}

/** Options of `recipes.tpgm`. */
export interface TpgmOptions {
  /**
   * The weights that fine-tuning started from: of `recipes.copyWeights`, by names, or a LayersModel. Excluded weights may be
   * missing. They are copied, and stay yours.
   */
  anchor: WeightsLike;
  /**
   * How weights are projected: `'mars'` (default), each row by its sum of absolute values, as `fixedRadius` does, with
   * the rows that the model's layers give; `'frobenius'`, the whole tensor by its 2-norm; or a projection of your own.
   */
  projection?: BallNorm | BallProjection;
  /**
   * A `tf.data.Dataset` of batches `{xs, ys}` that training does not see, begun again where it ends, or tensors
   * `{xs, ys}`, which stay yours and are used in batches of `batchSize`.
   */
  heldOut: TrainingData;
  /** Mean loss of a batch. The model's own losses, such as regularizers, are left out. */
  loss: (ys: ModelTensors, predictions: Tensor | Tensor[]) => Scalar;
  /** Examples per batch where `heldOut` are tensors, from 1; default 32. */
  batchSize?: number;
  /** Training steps from one update of the radii to the next, from 1; default 1. */
  every?: number;
  /** Adam steps on the radii per update, each on the next held-out batch, from 1; default 1. */
  iterations?: number;
  /** Of Adam on the radii, > 0, in units of the norm; default 0.01. Larger: the radii follow the held-out loss faster. */
  learningRate?: number;
  /** Weights that are left free, such as a new head, as for `ftp.adamw`. */
  exclude?: ExcludeOption;
}

const KEYS = [
  'anchor',
  'projection',
  'heldOut',
  'loss',
  'batchSize',
  'every',
  'iterations',
  'learningRate',
  'exclude',
] as const;

/** Lower bound of a radius. */
const MIN_RADIUS = 1e-8;
/** Of Adam on the radii. */
const BETAS = { beta1: 0.9, beta2: 0.999 };

/** Added to the norms where the projection is differentiated, for a finite gradient on the anchor itself. */
const NORM_EPSILON = 1e-8;

/** A weight that is projected, and Adam's state for its radius. */
interface Ball {
  weight: LayerWeight;
  anchor: Tensor;
  radius: number | null;
  m: number;
  v: number;
  updates: number;
}

interface Settings extends Required<Omit<TpgmOptions, 'anchor' | 'exclude' | 'projection'>> {
  projection: BallProjection;
}

/** The part of a model that is called. */
interface Applicable extends ModelLike {
  apply(xs: Tensor | Tensor[], args: { training: boolean }): Tensor | Tensor[];
}

/** The radii of TPGM; made by `recipes.tpgm`. */
export class TpgmRadii {
  private steps = 0;
  private disposed = false;
  private batches: AsyncGenerator<Batch, void> | undefined;

  /** @internal */
  constructor(
    private readonly model: Applicable,
    private readonly balls: Map<string, Ball>,
    private readonly options: Settings,
  ) {}

  /**
   * The radius that a weight is held within now.
   *
   * @param name of the variable.
   * @returns null for a weight that is free: an excluded one, one that is not the model's, and all before the first update.
   */
  radius(name: string): number | null {
    const radius = this.balls.get(name)?.radius ?? null;
    return radius === null ? null : Math.max(radius, MIN_RADIUS);
  }

  /**
   * Sets radii, for instance those of an earlier run. They are bounded when they are next used; Adam's state is kept.
   *
   * @param radii finite numbers by variable name; those of other weights stay.
   * @throws RangeError or TypeError for another value, or a name without a radius. Nothing is set then.
   */
  setRadii(radii: { readonly [name: string]: number }): void {
    this.assertUsable();
    for (const [name, radius] of Object.entries(radii)) {
      if (!this.balls.has(name)) {
        throw new RangeError(`radii must name weights that are projected, got '${name}'`);
      }
      checkNumber(`radii['${name}']`, radius);
    }
    for (const [name, radius] of Object.entries(radii)) (this.balls.get(name) as Ball).radius = radius;
  }

  /**
   * To be called, and awaited, after each step of training. On every `every`-th call it updates the radii on `iterations`
   * held-out batches, and then projects the model's weights.
   *
   * @returns whether this call updated the radii.
   * @throws whatever the dataset, the loss or the projection throws. Weights and radii are then as before the call.
   */
  async afterStep(): Promise<boolean> {
    this.assertUsable();
    const { every, iterations } = this.options;
    if ((this.steps + 1) % every !== 0) {
      this.steps += 1;
      return false;
    }
    const before = [...this.balls.values()].map((ball) => ({ ball, state: { ...ball } }));
    try {
      for (let i = 0; i < iterations; ++i) await this.updateOnce();
      await this.project();
    } catch (error) {
      for (const { ball, state } of before) Object.assign(ball, state);
      throw error;
    }
    this.steps += 1;
    return true;
  }

  /**
   * One Adam step on the radii, with the gradient of `loss` at the projected weights. The model's weights are the projected
   * ones while `loss` runs, and their own again afterwards.
   *
   * @param loss of held-out data, computed with the model's variables.
   * @throws whatever `loss` or the projection throws. Weights and radii are then as before the call.
   */
  async update(loss: () => Scalar): Promise<void> {
    this.assertUsable();
    const balls = [...this.balls.values()];
    if (balls.length === 0) return;
    const radii = await this.boundedRadii(balls);
    const gradients = await this.radiusGradients(balls, radii, loss);
    for (const [i, ball] of balls.entries()) {
      ball.radius = radii[i] as number;
      const gradient = gradients[i];
      // As with any optimizer, a weight that the loss does not depend on is left alone.
      if (gradient !== null && gradient !== undefined) moveRadius(ball, gradient, this.options.learningRate);
    }
  }

  /**
   * Projects the model's weights with the present radii, bounded to [1e-8, the largest norm]. Before the first update, this
   * gives each weight its first radius, half its smallest norm.
   */
  async project(): Promise<void> {
    this.assertUsable();
    const balls = [...this.balls.values()];
    if (balls.length === 0) return;
    const radii = await this.boundedRadii(balls);
    const projected = tidy(() => balls.map((ball, i) => this.projected(ball, radii[i] as number)));
    for (const [i, ball] of balls.entries()) {
      assign(ball.weight, projected[i] as Tensor);
      ball.radius = radii[i] as number;
    }
    dispose(projected);
  }

  /** Frees the anchors. The model and `heldOut` stay. Calling it again does nothing. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    dispose([...this.balls.values()].map(({ anchor }) => anchor));
    // The generator holds no tensor between updates; this ends its loop over the dataset.
    void this.batches?.return();
  }

  private assertUsable(): void {
    if (this.disposed) throw new FtpError('OPTIMIZER_DISPOSED', 'the radii of TPGM were disposed');
  }

  /** Radii for the present weights: the first ones, or those of before within their bounds. One read for all. */
  private async boundedRadii(balls: readonly Ball[]): Promise<number[]> {
    const { projection } = this.options;
    const bounds = tidy(() =>
      stack(
        balls.flatMap(({ weight, anchor }) => {
          const norms = projection.norms(sub(weight.read(), anchor), weight.name);
          return [min(norms), max(norms)];
        }),
      ),
    );
    const values = await bounds.data().finally(() => bounds.dispose());
    return balls.map(({ radius, weight }, i) => {
      const [smallest, largest] = [values[2 * i] as number, values[2 * i + 1] as number];
      if (!Number.isFinite(largest)) {
        throw new FtpError(
          'NON_FINITE_WEIGHTS',
          `'${weight.name}' or its anchor has values that are not finite`,
        );
      }
      return Math.min(Math.max(radius ?? smallest / 2, MIN_RADIUS), Math.max(largest, MIN_RADIUS));
    });
  }

  private projected({ weight, anchor }: Ball, radius: number | Scalar): Tensor {
    const given = typeof radius === 'number' ? scalar(radius) : radius;
    return this.options.projection.project(weight.read(), anchor, given, weight.name);
  }

  /** dL/dradius of each ball; null where the loss does not depend on the weight. */
  private async radiusGradients(
    balls: readonly Ball[],
    radii: readonly number[],
    loss: () => Scalar,
  ): Promise<(number | null)[]> {
    const gradients = this.atProjected(balls, radii, loss);
    const found = balls.filter(({ weight }) => gradients[weight.name] !== undefined);
    if (found.length === 0) return balls.map(() => null);
    let read: Tensor;
    try {
      read = tidy(() =>
        stack(
          found.map((ball) => {
            const along = grad((radius) => this.projected(ball, radius as Scalar));
            return along(scalar(radii[balls.indexOf(ball)] as number), gradients[ball.weight.name]);
          }),
        ),
      );
    } finally {
      dispose(gradients);
    }
    const values = await read.data().finally(() => read.dispose());
    return balls.map((ball) => {
      const i = found.indexOf(ball);
      if (i < 0) return null;
      const value = values[i] as number;
      if (Number.isFinite(value)) return value;
      throw new FtpError(
        'NON_FINITE_GRADIENT',
        `the gradient of the held-out loss for the radius of '${ball.weight.name}' is ${value}`,
      );
    });
  }

  /** Gradients of the loss at the projected weights, by name. No second model: the weights are lent to the projection. */
  private atProjected(balls: readonly Ball[], radii: readonly number[], loss: () => Scalar): NamedTensorMap {
    const before = new WeightSnapshot(balls.map(({ weight }) => weight));
    const variables = balls.map(({ weight }) => weight.read() as Variable);
    const trainable = variables.map((variable) => variable.trainable);
    try {
      return tidy(() => {
        const projected = balls.map((ball, i) => this.projected(ball, radii[i] as number));
        for (const [i, { weight }] of balls.entries()) assign(weight, projected[i] as Tensor);
        for (const variable of variables) variable.trainable = true;
        const { grads } = variableGrads(loss, variables);
        return Object.fromEntries(Object.entries(grads).filter(([, gradient]) => gradient !== null));
      });
    } finally {
      before.restore();
      before.dispose();
      for (const [i, variable] of variables.entries()) variable.trainable = trainable[i] as boolean;
    }
  }

  /** One update on the next held-out batch. */
  private async updateOnce(): Promise<void> {
    const { loss } = this.options;
    const { xs, ys } = await this.nextBatch();
    try {
      const inputs = xs instanceof Tensor ? xs : Object.values(xs);
      await this.update(() => loss(ys, this.model.apply(inputs, { training: false })));
    } finally {
      dispose([xs, ys] as TensorContainer); // now, not when the next batch is asked for
    }
  }

  private async nextBatch(): Promise<Batch> {
    const { heldOut, batchSize } = this.options;
    for (let attempt = 0; attempt < 2; ++attempt) {
      this.batches ??= batchesOf('heldOut', heldOut, batchSize, false);
      const next = await this.batches.next();
      if (!next.done) return next.value;
      this.batches = undefined;
    }
    throw new RangeError('heldOut must have batches, got none');
  }
}

/** One step of Adam on a radius. */
function moveRadius(ball: Ball, gradient: number, learningRate: number): void {
  const { radius, m, v, updates } = ball;
  const adam = { ...BETAS, learningRate };
  const { x, ...moments } = stepScalar(NUMBERS, adam, updates + 1, gradient, [radius as number, m, v]);
  Object.assign(ball, { ...moments, radius: x, updates: updates + 1 });
}

/**
 * Trainable projected gradient method (TPGM): one radius per weight tensor, within which the weight is held around its
 * anchor, learnt from data that training does not see.
 *
 * ```
 * every `every` steps, `iterations` times, with the next held-out batch:
 *   n      = norms of W - A                                        (per row, or of the tensor)
 *   radius = clip(radius, 1e-8, max n);  at first min(n) / 2
 *   L      = loss at A + s (W - A),  s = min(1, radius / (n + 1e-8))
 *   radius = Adam step on the radius with dL/dradius
 * then W = A + s (W - A)
 * ```
 *
 * The projection is that of `fixedRadius`, or one of your own; the gradient comes from differentiating it. A row on its anchor
 * has a gradient too, which is 0: that is what the 1e-8 is for. The model's own variables hold the projected weights while the held-out loss is computed; no second
 * model is made, and memory for one more set of weights is needed for that time alone.
 *
 * @param model a `tf.LayersModel`, trained with any optimizer. The weights that it trains now are projected: those of layers
 *   that are not `trainable`, and statistics, are left alone.
 * @param options see {@link TpgmOptions}; `anchor`, `heldOut` and `loss` must be given.
 * @returns the radii. Yours to dispose.
 * @throws TypeError or RangeError, which names the option, for a wrong one; FtpError UNMATCHED_PATTERN for a pattern of
 *   `exclude` that matches no weight.
 *
 * @example
 * ```ts
 * const pretrained = recipes.copyWeights(model);
 * const radii = recipes.tpgm(model, {
 *   anchor: pretrained,
 *   projection: 'frobenius',
 *   heldOut: { xs: tf.ones([8, 3]), ys: tf.ones([8, 2]) },
 *   loss: (ys, predictions) => tf.losses.meanSquaredError(ys, predictions),
 *   every: 2,
 * });
 * model.compile({ optimizer: tf.train.adam(1e-2), loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), {
 *   epochs: 4,
 *   verbose: 0,
 *   callbacks: { onBatchEnd: () => radii.afterStep() },
 * });
 * for (const { name } of model.trainableWeights) console.log(name, radii.radius(name));
 * radii.dispose();
 * tf.dispose(pretrained);
 * ```
 *
 * Source: Tian, Dai, Ma, He, Liu, Kira: Trainable Projected Gradient Method for Robust Fine-Tuning, CVPR 2023, arXiv
 * 2303.10720; authors' code github.com/PotatoTian/TPGM. Deliberate differences: no copy of the model per step; held-out data
 * is seen in inference mode; a radius is at least 1e-8 also where a weight is exactly on its anchor.
 */
export function tpgm(model: ModelLike, options: TpgmOptions): TpgmRadii {
  checkModel('model', model);
  checkOptionKeys('options', options, KEYS);
  const {
    anchor,
    projection = 'mars',
    heldOut,
    loss,
    batchSize = 32,
    every = 1,
    iterations = 1,
    learningRate = 1e-2,
  } = options;
  const axes = new OutputAxes(model, undefined);
  const settings = {
    projection: checkProjection(projection, axes),
    heldOut: checkData('heldOut', heldOut),
    loss: checkFunction('loss', loss),
    batchSize: checkInteger('batchSize', batchSize, 1, 2 ** 31 - 1),
    every: checkInteger('every', every, 1, 2 ** 31 - 1),
    iterations: checkInteger('iterations', iterations, 1, 2 ** 31 - 1),
    learningRate: checkNumber('learningRate', learningRate, { above: 0 }),
  };
  const exclusion = new Exclusion(options.exclude, (layer) => axes.weightsOfLayer(layer));
  const weights = weightsIn(nodesOf(model));
  const anchors = matchWeights('anchor', weights, anchor, true);
  const trained = new Set(weightsTrained(model));
  exclusion.check(weights.map(({ name }) => name));
  const balls = new Map<string, Ball>();
  for (const [i, weight] of weights.entries()) {
    if (!trained.has(weight) || exclusion.matches(weight.name)) continue;
    const found = anchors[i];
    if (found === undefined) {
      throw new RangeError(
        `anchor must have every weight that is projected, got none for '${weight.name}' [${weight.shape}]; exclude it`,
      );
    }
    balls.set(weight.name, { weight, anchor: found, radius: null, m: 0, v: 0, updates: 0 });
  }
  // Only now, when nothing can throw any more.
  for (const ball of balls.values()) ball.anchor = keep(clone(ball.anchor));
  return new TpgmRadii(model as Applicable, balls, settings);
}

function weightsTrained(model: ModelLike): LayerWeight[] {
  return (model as unknown as { trainableWeights: LayerWeight[] }).trainableWeights;
}

function checkFunction<F>(name: string, value: F): F {
  if (typeof value !== 'function') throw new TypeError(`${name} must be a function, got ${describe(value)}`);
  return value;
}

/** The ball of `fixedRadius`, with the rows of the model's layers. */
function ballOf(norm: BallNorm, axes: OutputAxes): BallProjection {
  const rows = (name: string, { shape }: Tensor) => rowsOf(axes.layoutOf(name, shape), shape);
  return {
    norms: (deviation, name) => ballNorms(tfjs, rows(name, deviation), norm, deviation),
    project(weights, anchor, radius, name) {
      const deviation = sub(weights, anchor);
      const own = rows(name, deviation);
      const norms = add(ballNorms(tfjs, own, norm, deviation), NORM_EPSILON);
      return add(anchor, heldInBall(tfjs, own, norm, radius, deviation, norms));
    },
  };
}

function checkProjection(projection: BallNorm | BallProjection, axes: OutputAxes): BallProjection {
  const accepted = "projection must be 'mars', 'frobenius' or an object {norms, project}";
  if (typeof projection === 'string') {
    if (projection === 'mars' || projection === 'frobenius') return ballOf(projection, axes);
    throw new RangeError(`${accepted}, got ${describe(projection)}`);
  }
  if (projection === null || typeof projection !== 'object') {
    throw new TypeError(`${accepted}, got ${describe(projection)}`);
  }
  checkFunction('projection.norms', projection.norms);
  checkFunction('projection.project', projection.project);
  return projection;
}
