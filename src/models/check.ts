/** Which nodes have no gradient, found before training by the kernels that each operation runs. */

import * as tf from '@tensorflow/tfjs-core';
import { GRADIENTS, isSmallerThanStride, WASM_KERNELS } from './gradients/names.js';
import { isOurs } from './gradients/register.js';
import { carries, type GraphNode } from './graph.js';

/** A node on the way from a variable to an output whose gradient is missing or wrong. */
export interface MissingGradient {
  /** Name of the node in the graph. */
  node: string;
  /** Its operation, in TensorFlow's words. */
  op: string;
  /** What is missing. */
  reason: string;
  /** What to do about it. */
  advice: string;
}

/** The kernels of operations that go by another name in TensorFlow; the others run the kernel of their own name. */
const KERNELS: Record<string, readonly string[]> = {
  AddV2: ['Add'],
  BiasAdd: ['Add'],
  Mul: ['Multiply'],
  Div: ['RealDiv'],
  DivNoNan: ['RealDiv', 'Equal', 'Select'],
  FloorMod: ['Mod'],
  Pad: ['PadV2'],
  Squeeze: ['Reshape'],
  EnsureShape: [],
  EuclideanNorm: ['Square', 'Sum', 'Sqrt'],
  Conv1D: ['Conv2D'],
  DepthwiseConv2d: ['DepthwiseConv2dNative'],
  MatMul: ['BatchMatMul'],
  BatchMatMulV2: ['BatchMatMul'],
  MatrixBandPart: ['Select'],
  FusedBatchNormV2: ['FusedBatchNorm'],
  FusedBatchNormV3: ['FusedBatchNorm'],
  ConcatV2: ['Concat'],
  Split: ['SplitV'],
  Gather: ['GatherV2'],
  ReverseV2: ['Reverse'],
  BroadcastTo: ['Tile'],
  SelectV2: ['Select'],
  TopKV2: ['TopK'],
  Snapshot: ['Identity'],
  IdentityN: ['Identity'],
  StopGradient: ['Identity'],
  FakeQuantWithMinMaxVars: ['Identity'],
  PlaceholderWithDefault: [],
  Print: [],
};

/** Fused convolutions, with what they are without what is fused to them. */
export const FUSED_CONVOLUTIONS: Record<string, string> = {
  _FusedConv2D: 'Conv2D',
  FusedDepthwiseConv2dNative: 'DepthwiseConv2dNative',
};

/** Operations of two steps in training: the kernel without its activation, and that. */
const FUSED: Record<string, string> = { ...FUSED_CONVOLUTIONS, _FusedMatMul: 'BatchMatMul' };

/** Activations as fused operations name them, with the operations that they are. */
export const ACTIVATIONS: Record<string, string> = {
  relu: 'Relu',
  relu6: 'Relu6',
  elu: 'Elu',
  prelu: 'Prelu',
  leakyrelu: 'LeakyRelu',
  sigmoid: 'Sigmoid',
};

/** The kernels that a gradient runs and that not every backend has. */
const BACKWARD: Record<string, readonly string[]> = {
  Conv2D: ['Conv2DBackpropInput', 'Conv2DBackpropFilter'],
  Conv2DBackpropInput: ['Conv2DBackpropFilter'],
  DepthwiseConv2dNative: ['DepthwiseConv2dNativeBackpropInput', 'DepthwiseConv2dNativeBackpropFilter'],
  Conv3D: ['Conv3DBackpropInputV2', 'Conv3DBackpropFilterV2'],
  Dilation2D: ['Dilation2DBackpropInput', 'Dilation2DBackpropFilter'],
  GatherV2: ['UnsortedSegmentSum'],
  AvgPool: ['AvgPoolGrad'],
  AvgPool3D: ['AvgPool3DGrad'],
  MaxPool: ['MaxPoolGrad'],
  MaxPool3D: ['MaxPool3DGrad'],
  ResizeBilinear: ['ResizeBilinearGrad'],
  ResizeNearestNeighbor: ['ResizeNearestNeighborGrad'],
  LRN: ['LRNGrad'],
  Elu: ['EluGrad'],
};

const IMPORT = "import 'tfjs-ftp/models/gradients'";

function values(node: GraphNode, name: string): unknown[] {
  return [node.attrParams[name]?.value ?? []].flat();
}

/** Whether the filter of a convolution is smaller than its stride; false where the filter is no constant. */
export function skipsInput(node: GraphNode, weightMap: Record<string, tf.Tensor[]>): boolean {
  const shape = weightMap[node.inputs[1]?.name ?? '']?.[0]?.shape;
  const [, sh = 1, sw = 1] = values(node, 'strides') as number[];
  return shape?.length === 4 && isSmallerThanStride(shape, [sh, sw]);
}

export function isDilated(node: GraphNode): boolean {
  return values(node, 'dilations').some((dilation) => dilation !== 1);
}

function kernelsOf(node: GraphNode): readonly string[] {
  const fused = FUSED[node.op];
  if (fused === undefined) return KERNELS[node.op] ?? [node.op];
  const [extra, activation] = values(node, 'fusedOps').map(String);
  const kernel = ACTIVATIONS[activation ?? extra ?? ''];
  return kernel === undefined ? [fused] : [fused, 'Add', kernel];
}

/** What is wrong with one kernel of a node: the reason, and whether the opt-in import mends it. */
function lacking(
  node: GraphNode,
  kernel: string,
  path: ReadonlySet<GraphNode>,
  weightMap: Record<string, tf.Tensor[]>,
): { reason: string; mended: boolean } | undefined {
  if (tf.getGradient(kernel) === undefined) {
    return { reason: `tfjs has no gradient for ${kernel}`, mended: GRADIENTS.includes(kernel) };
  }
  const dilated = BACKWARD[kernel] !== undefined && isDilated(node);
  if (dilated && !isOurs(kernel)) {
    return { reason: `tfjs has no gradient for a dilated ${kernel}`, mended: GRADIENTS.includes(kernel) };
  }
  const halfPixel = node.attrParams.halfPixelCenters?.value === true;
  if (halfPixel && !isOurs(kernel)) {
    const reason = `tfjs's gradient of ${kernel} is wrong: it leaves halfPixelCenters out`;
    return { reason, mended: true };
  }
  const indices = kernel === 'GatherV2' ? node.inputs[1] : undefined;
  if (indices !== undefined && path.has(indices) && !isOurs(kernel)) {
    return {
      reason: 'the gradient of GatherV2 throws where its indices depend on what is trained',
      mended: true,
    };
  }
  const backend = tf.getBackend();
  if (kernel === 'Conv2D' && backend === 'tensorflow' && !isOurs(kernel) && skipsInput(node, weightMap)) {
    const reason =
      'TensorFlow can end the process in the gradient of a filter that is smaller than its stride';
    return { reason, mended: true };
  }
  const missing = (BACKWARD[kernel] ?? []).find((name) => tf.getKernel(name, backend) === undefined);
  if (missing === undefined || dilated || halfPixel) return undefined;
  const mended = backend === 'wasm' && WASM_KERNELS.includes(missing);
  return { reason: `the ${backend} backend has no kernel ${missing}`, mended };
}

/** The findings for the nodes of `path`, which are those between variables and outputs. */
export function findMissingGradients(
  path: ReadonlySet<GraphNode>,
  weightMap: Record<string, tf.Tensor[]>,
): MissingGradient[] {
  const found: MissingGradient[] = [];
  for (const node of path) {
    if (node.op === 'Const') continue;
    const add = (reason: string, advice: string) =>
      found.push({ node: node.name, op: node.op, reason, advice });
    if (node.category === 'custom') {
      add(
        'it is a custom operation',
        'make sure that its executor is made of operations that have a gradient',
      );
      continue;
    }
    const problem = kernelsOf(node)
      .map((kernel) => lacking(node, kernel, path, weightMap))
      .find((one) => one !== undefined);
    if (problem === undefined) continue;
    const before = node.inputs
      .filter((input, i) => path.has(input) && carries(node, i))
      .map((input) => `'${input.name}'`);
    const instead = before.length > 0 ? `outputs: [${before.join(', ')}]` : 'outputs before it';
    add(problem.reason, problem.mended ? IMPORT : `train on what comes before it, with ${instead}`);
  }
  return found;
}
