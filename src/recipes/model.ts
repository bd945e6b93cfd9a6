/**
 * What recipes need of a `tf.LayersModel`: its layers, which weights are trained, its weights by name. tfjs-layers is an
 * optional peer of this package, so nothing here loads it, and the types are its shapes alone.
 */

import { clone, dispose, type NamedTensorMap, Tensor, type Variable } from '@tensorflow/tfjs-core';
import { describe } from '../validate.js';
import { findByName } from '../variables/names.js';
import { type ModelLike, walk } from '../variables/output_axis.js';

/** A weight of a layer: the model's variable, and whether it is trained. */
export interface LayerWeight {
  /** Counts up in the order in which the layer made its weights. */
  readonly id: number;
  name: string;
  originalName: string;
  shape: (number | null)[];
  trainable: boolean;
  /** The variable itself. */
  read(): Tensor;
}

/** A layer, a wrapper, an RNN cell or a nested model. */
export interface LayerNode {
  name: string;
  trainable: boolean;
  weights: LayerWeight[];
  layers?: unknown;
  getClassName(): string;
  // biome-ignore lint/suspicious/noExplicitAny: the inputs of a layer are its own matter
  call(inputs: any, options: any): any;
}

/** Sets a weight to a value as it is; `LayerVariable.write` would apply the layer's constraint, if it has one. */
export function assign(weight: LayerWeight, value: Tensor): void {
  (weight.read() as Variable).assign(value);
}

/** @throws TypeError unless `model` is a tf.LayersModel. `name` is that of the parameter. */
export function checkModel(name: string, model: unknown): void {
  if (!isModel(model)) throw new TypeError(`${name} must be a tf.LayersModel, got ${describe(model)}`);
}

export function isModel(value: unknown): value is ModelLike {
  const { layers, apply } = (value ?? {}) as { layers?: unknown; apply?: unknown };
  return Array.isArray(layers) && typeof apply === 'function';
}

/** Everything within a model, those that contain others first; the model itself, too. */
export function nodesOf(model: ModelLike): LayerNode[] {
  const nodes: LayerNode[] = [];
  walk(model, (node) => {
    if (typeof node.getClassName === 'function' && Array.isArray(node.weights)) nodes.push(node as LayerNode);
  });
  return nodes.reverse();
}

/** All weights within `nodes`, statistics too, each once. */
export function weightsIn(nodes: readonly LayerNode[]): LayerWeight[] {
  // A layer or a model lists what is trained first; this order depends on the architecture alone.
  const ordered = [...nodes].reverse().map((node) => [...node.weights].sort((a, b) => a.id - b.id));
  return [...new Set(ordered.flat())];
}

/**
 * The layers that `head` names, with all that is within them.
 *
 * @throws TypeError or RangeError, which names the parameter, for what is no layer with weights.
 */
export function headNodes(model: ModelLike, head: string | readonly string[]): LayerNode[] {
  const names: readonly unknown[] = typeof head === 'string' ? [head] : head;
  if (!Array.isArray(names) || names.length === 0) {
    throw new TypeError(`head must be the name of a layer, or an array of some, got ${describe(head)}`);
  }
  const nodes = nodesOf(model).filter((node) => (node as object) !== model);
  return names.flatMap((name) => {
    if (typeof name !== 'string') {
      throw new TypeError(
        `head must be the name of a layer, or an array of some, got ${describe(name)} in it`,
      );
    }
    const found = nodes.filter((node) => node.name === name && node.weights.length > 0);
    if (found.length === 0) {
      const known = nodes.filter((node) => node.weights.length > 0).map((node) => node.name);
      const shown = known.slice(-8).join(', ');
      throw new RangeError(
        `head must name layers with weights, got '${name}'; the model has ${known.length > 8 ? '..., ' : ''}${shown}`,
      );
    }
    return found.flatMap((node) => nodesOf(node as unknown as ModelLike));
  });
}

/** Makes `head` all that is trained. The result puts every flag back. */
export function trainOnly(model: ModelLike, head: string | readonly string[]): () => void {
  const trained = new Set(weightsIn(headNodes(model, head)));
  const nodes = nodesOf(model);
  const weights = weightsIn(nodes);
  const before = {
    nodes: nodes.map((node) => node.trainable),
    weights: weights.map((weight) => weight.trainable),
  };
  // By layer: `compile` of a tf.Sequential makes all weights of trainable layers trainable. Those that contain others come
  // first, since they set the flags of their parts.
  for (const node of nodes)
    node.trainable = (node as object) === model || weightsIn([node]).some((w) => trained.has(w));
  return () => {
    for (const [i, node] of nodes.entries()) node.trainable = before.nodes[i] as boolean;
    for (const [i, weight] of weights.entries()) weight.trainable = before.weights[i] as boolean;
  };
}

/** A model's weights at one moment. Tensors share memory with the variables until those get new values. */
export class WeightSnapshot {
  private readonly values: { weight: LayerWeight; value: Tensor }[];

  constructor(weights: readonly LayerWeight[]) {
    this.values = weights.map((weight) => ({ weight, value: clone(weight.read()) }));
  }

  restore(): void {
    for (const { weight, value } of this.values) assign(weight, value);
  }

  dispose(): void {
    dispose(this.values.map(({ value }) => value));
  }
}

/**
 * The present weights of a model by name, statistics of batch normalization too: an anchor for `recipes.interpolate`, a
 * candidate for `recipes.soup`, the `anchors` of an optimizer.
 *
 * @param model a `tf.LayersModel`.
 * @returns a tensor for each weight, under the name of its variable. They do not change when the model is trained, and
 *   share the variables' memory until then. Yours to dispose: `tf.dispose(weights)`.
 * @throws TypeError unless `model` is a LayersModel.
 *
 * @example
 * ```ts
 * const anchors = recipes.copyWeights(model);
 * const optimizer = ftp.adamw(1e-3, { model });
 * tf.dispose(anchors);
 * ```
 */
export function copyWeights(model: ModelLike): NamedTensorMap {
  checkModel('model', model);
  return Object.fromEntries(weightsIn(nodesOf(model)).map((weight) => [weight.name, clone(weight.read())]));
}

/** Weights of the same architecture: a model, or tensors by the names of variables. */
export type WeightsLike = ModelLike | NamedTensorMap;

/**
 * For each of `weights` its counterpart in `given`; still owned by whoever owns it.
 *
 * @param partial whether weights may be missing.
 * @throws TypeError or RangeError, which names the parameter `name`, where one is missing, has another shape, or is left
 *   over.
 */
export function matchWeights(
  name: string,
  weights: readonly LayerWeight[],
  given: WeightsLike,
  partial = false,
): (Tensor | undefined)[] {
  if (isModel(given)) return matchModel(name, weights, given);
  if (given === null || typeof given !== 'object' || Array.isArray(given) || given instanceof Tensor) {
    throw new TypeError(
      `${name} must be a tf.LayersModel or map weight names to tensors, got ${describe(given)}`,
    );
  }
  const entries = Object.entries(given as NamedTensorMap);
  for (const [key, value] of entries) {
    const tensor: unknown = value;
    if (!(tensor instanceof Tensor) || tensor.dtype !== 'float32') {
      const came = tensor instanceof Tensor ? `a tensor of ${tensor.dtype}` : describe(tensor);
      throw new TypeError(`${name}['${key}'] must be a float32 tensor, got ${came}`);
    }
    if (tensor.isDisposed) throw new RangeError(`${name}['${key}'] is disposed`);
  }
  const left = new Map(entries);
  // Equal names first, so that none is taken away by a name that is equal but for a suffix.
  const exact = weights.map((weight) => take(left, weight.name));
  const matched = weights.map((weight, i) => {
    const alike = exact[i] ?? takeAlike(left, weight);
    if (alike === undefined) {
      if (partial) return undefined;
      throw new RangeError(
        `${name} must have every weight of the model, got none for '${weight.name}' [${weight.shape}]; ` +
          `it has ${
            entries
              .slice(0, 8)
              .map(([key]) => key)
              .join(', ') || 'none'
          }${entries.length > 8 ? ', ...' : ''}`,
      );
    }
    checkShape(`${name}['${alike.key}']`, weight, alike.tensor);
    return alike.tensor;
  });
  const [extra] = left.keys();
  if (extra !== undefined) {
    throw new RangeError(
      `${name} must have weights of the model alone, got '${extra}', which the model does not have`,
    );
  }
  return matched;
}

interface Named {
  key: string;
  tensor: Tensor;
}

function take(left: Map<string, Tensor>, key: string): Named | undefined {
  const tensor = left.get(key);
  if (tensor === undefined) return undefined;
  left.delete(key);
  return { key, tensor };
}

/** tfjs adds `_1`, `_2`, ... to names in use, so that a second model of the same layers has other names. */
function takeAlike(left: Map<string, Tensor>, { name, shape }: LayerWeight): Named | undefined {
  const same = ([, tensor]: [string, Tensor]) => String(tensor.shape) === String(shape);
  const found = findByName(left.entries(), ([key]) => key, name, same);
  return found === undefined ? undefined : take(left, found[0]);
}

function matchModel(name: string, weights: readonly LayerWeight[], model: ModelLike): Tensor[] {
  const others = weightsIn(nodesOf(model));
  if (others.length !== weights.length) {
    throw new RangeError(
      `${name} must have the ${weights.length} weights of the model, got a model with ${others.length}`,
    );
  }
  return weights.map((weight, i) => {
    const other = others[i] as LayerWeight;
    checkShape(`${name}, weight '${other.name}',`, weight, other.read());
    return other.read();
  });
}

function checkShape(name: string, weight: LayerWeight, tensor: Tensor): void {
  if (String(tensor.shape) !== String(weight.shape)) {
    throw new RangeError(
      `${name} must have the shape [${weight.shape}] of '${weight.name}', got [${tensor.shape}]`,
    );
  }
}
