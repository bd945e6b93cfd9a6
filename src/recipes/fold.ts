/** Batch normalization that is computed within the layer before it. */

import { add, mul, reshape, rsqrt, sub, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { ModelLike } from '../variables/output_axis.js';
import { freezeBatchNorm } from './freeze.js';
import { checkModel, type LayerNode, type LayerWeight, nodesOf } from './model.js';
import { type CallWrapper, wrapCall } from './wrapped_call.js';

/** How layers are joined, in tfjs-layers: an edge of the graph. */
interface GraphEdge {
  inboundLayers: LayerNode[];
  outboundLayer: LayerNode;
}

/** The properties of tfjs-layers that folding reads; those of a class are missing on others. */
interface GraphLayer extends LayerNode {
  inboundNodes: GraphEdge[];
  outboundNodes: GraphEdge[];
  activation?: { getClassName(): string } | null;
  dataFormat?: string;
  useBias?: boolean;
  bias?: LayerWeight | null;
  kernel?: LayerWeight;
  depthwiseKernel?: LayerWeight;
}

interface Norm extends GraphLayer {
  axis: number;
  epsilon: number;
  /** Null or missing without `scale`. */
  gamma?: LayerWeight | null;
  /** Null or missing without `center`. */
  beta?: LayerWeight | null;
  movingMean: LayerWeight;
  movingVariance: LayerWeight;
}

/** A layer that multiplies by a kernel, and the normalization of what it gives. */
interface Pair {
  layer: GraphLayer;
  norm: Norm;
}

/** Layers whose kernel has its output channels on the last axis, or on the last two, with the name that they give it. */
const KERNELS: Readonly<Record<string, 'kernel' | 'depthwiseKernel'>> = {
  Dense: 'kernel',
  Conv1D: 'kernel',
  Conv2D: 'kernel',
  DepthwiseConv2D: 'depthwiseKernel',
};

/** The layers that a model gives results of; a nested model is one as well. */
function outputLayers(node: LayerNode): unknown[] {
  return (node as { outputLayers?: unknown[] }).outputLayers ?? [];
}

/**
 * The layer that a normalization can be computed in. Its result must go to the normalization alone, as it is, and have its
 * channels on the normalized axis.
 */
function foldable(norm: Norm, outputs: ReadonlySet<unknown>): Pair | undefined {
  const [edge, ...more] = norm.inboundNodes ?? [];
  const layer = edge?.inboundLayers[0] as GraphLayer | undefined;
  if (layer === undefined || more.length > 0 || edge?.inboundLayers.length !== 1) return undefined;
  const kernel = KERNELS[layer.getClassName()];
  if (kernel === undefined || layer[kernel] === undefined || outputs.has(layer)) return undefined;
  if (layer.inboundNodes.length !== 1 || layer.outboundNodes.length !== 1) return undefined;
  if ((layer.activation?.getClassName() ?? 'linear') !== 'linear') return undefined;
  if (layer.dataFormat === 'channelsFirst') return undefined;
  const { shape } = (layer as unknown as { output: { shape: unknown[] } }).output;
  return norm.axis === -1 || norm.axis === shape.length - 1 ? { layer, norm } : undefined;
}

/** What the normalization multiplies each channel by, and adds to it where the layer has no bias. */
function scaleAndShift({ layer, norm }: Pair): { scale: Tensor; shift: Tensor } {
  const { gamma, beta, movingMean, movingVariance, epsilon } = norm;
  const inverse = rsqrt(add(movingVariance.read(), epsilon));
  const scale = gamma ? mul(gamma.read(), inverse) : inverse;
  const mean = layer.bias ? sub(movingMean.read(), layer.bias.read()) : movingMean.read();
  const less = mul(mean, scale);
  return { scale, shift: beta ? sub(beta.read(), less) : mul(less, -1) };
}

/** A weight with another value. The layer reads nothing else of it in its `call`. */
const readingAs = (value: Tensor) => ({ read: () => value }) as LayerWeight;

/** Lets the layer run with the folded kernel and bias; its own code does the rest. */
function withFolded(pair: Pair): CallWrapper {
  const { layer } = pair;
  const name = KERNELS[layer.getClassName()] as 'kernel' | 'depthwiseKernel';
  return (call) => (inputs, options) =>
    tidy(() => {
      const { scale, shift } = scaleAndShift(pair);
      const kernel = (layer[name] as LayerWeight).read();
      // A depthwise kernel has its channels on two axes, [height, width, in, multiplier].
      const factor = name === 'kernel' ? scale : reshape(scale, kernel.shape.slice(-2));
      const { [name]: ownKernel, bias, useBias } = layer;
      Object.assign(layer, { [name]: readingAs(mul(kernel, factor)), bias: readingAs(shift), useBias: true });
      try {
        return call(inputs, options);
      } finally {
        Object.assign(layer, { [name]: ownKernel, bias, useBias });
      }
    });
}

const passOn: CallWrapper = () => (inputs) => (Array.isArray(inputs) ? inputs[0] : inputs);

/** Folded normalizations, and how many times. */
const folded = new WeakMap<Norm, { times: number; undo: (() => void)[] }>();

function fold(pair: Pair): void {
  const state = folded.get(pair.norm);
  if (state !== undefined) {
    ++state.times;
    return;
  }
  const undo = [wrapCall(pair.layer, withFolded(pair)), wrapCall(pair.norm, passOn)];
  folded.set(pair.norm, { times: 1, undo });
}

function unfold({ norm }: Pair): void {
  const state = folded.get(norm);
  if (state === undefined || --state.times > 0) return;
  folded.delete(norm);
  for (const unwrap of state.undo) unwrap();
}

/**
 * Freezes the statistics of batch normalization as {@link freezeBatchNorm} does, and computes each normalization in the
 * kernel and bias of the layer before it, which saves its passes over the activations:
 *
 * ```
 * scale = gamma / sqrt(moving variance + epsilon)                      one number per channel
 * y     = x * (kernel scale) + beta - (moving mean - bias) scale       where x * kernel is what the layer computes
 * ```
 *
 * The function, and its gradients for kernel, bias, gamma and beta, are those of the frozen model but for rounding. The weights stay as they
 * are: names, anchors, saved models and the optimizer's state know nothing of it.
 *
 * A normalization is folded where it follows a Dense, Conv1D, Conv2D or DepthwiseConv2D layer without an activation whose
 * result goes nowhere else, with channels last. The others are frozen alone. Under tfjs-node, a training step of a MobileNetV2
 * takes about half the time.
 *
 * @param model a `tf.LayersModel`. What is added to it later is not frozen.
 * @returns a function that undoes it, folding and freezing. A model that was folded twice is folded until both are undone; undoing
 *   one twice does nothing.
 * @throws TypeError unless `model` is a LayersModel.
 *
 * @example
 * ```ts
 * const unfold = recipes.foldBatchNorm(model);
 * model.compile({ optimizer: ftp.adamw(1e-3, { model }), loss: 'meanSquaredError' });
 * await model.fit(tf.ones([8, 3]), tf.zeros([8, 2]), { verbose: 0 });
 * unfold();
 * ```
 */
export function foldBatchNorm(model: ModelLike): () => void {
  checkModel('model', model);
  const nodes = nodesOf(model);
  const outputs = new Set(nodes.flatMap(outputLayers));
  const pairs = nodes
    .filter((node): node is Norm => node.getClassName() === 'BatchNormalization')
    .map((norm) => foldable(norm, outputs))
    .filter((pair) => pair !== undefined);
  const unfreeze = freezeBatchNorm(model);
  for (const pair of pairs) fold(pair);
  return () => {
    for (const pair of pairs.splice(0)) unfold(pair);
    unfreeze();
  };
}
