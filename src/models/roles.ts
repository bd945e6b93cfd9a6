/** What the constants of a graph are: weights, statistics or mere numbers; and the output axis of each. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { OutputAxis } from '../variables/output_axis.js';
import { ancestors, carries, descendants, type GraphNode, paramOf } from './graph.js';

/**
 * What an operation reads a constant as. `kernel`: a filter, matrix or embedding; `vector`: bias, scale, offset or alpha;
 * `elementwise`: an operand of arithmetic; `statistic`: mean or variance of a batch normalization; `other`: all else.
 */
type Role = 'kernel' | 'vector' | 'elementwise' | 'statistic' | 'other';

const PRIORITY: readonly Role[] = ['kernel', 'vector', 'elementwise', 'other', 'statistic'];

interface Reading {
  role: Role;
  node: GraphNode;
  axis: OutputAxis | undefined;
}

/** A constant of the graph that could be trained. */
export interface Candidate {
  name: string;
  tensor: Tensor;
  /** The operations that read it, the one that decides on its rows first. */
  readers: GraphNode[];
  axis: OutputAxis | undefined;
  /** Whether it is trained where nobody says what to train. */
  byDefault: boolean;
}

const PASS_ON = new Set(['Identity', 'IdentityN', 'Snapshot', 'StopGradient']);

const ARITHMETIC = new Set([
  ...['Add', 'AddV2', 'AddN', 'BiasAdd', 'Sub', 'Mul', 'RealDiv', 'Div', 'DivNoNan', 'Maximum', 'Minimum'],
  ...['Pow', 'SquaredDifference'],
]);

/** One number per channel, whatever the rank: [c], [1, 1, c], [c, 1, 1]. */
function isVector(shape: readonly number[]): boolean {
  return shape.filter((size) => size !== 1).length <= 1;
}

function attr(node: GraphNode, name: string): unknown {
  return node.attrParams[name]?.value;
}

/** The labels of an operand that the result has too, as axes; they must be neighbours to be rows. */
function einsumAxes(node: GraphNode, index: number): OutputAxis | undefined {
  const [left, result] = String(attr(node, 'equation')).replace(/\s/g, '').split('->');
  const operands = (left ?? '').split(',');
  const own = [...(operands[index] ?? '')];
  const others = operands.filter((_, i) => i !== index).join('');
  const axes = own.flatMap((label, i) => (result?.includes(label) && !others.includes(label) ? [i] : []));
  const areNeighbours = axes.every((axis, i) => i === 0 || axis === (axes[i - 1] as number) + 1);
  return axes.length > 0 && areNeighbours ? axes : undefined;
}

/** What input `index` of `node` is to it. */
function readingOf(node: GraphNode, index: number, gatherAxis: (node: GraphNode) => number): Reading {
  const param = paramOf(node, index)?.name;
  const kernel = (axis: OutputAxis | undefined): Reading => ({ role: 'kernel', node, axis });
  const as = (role: Role): Reading => ({ role, node, axis: undefined });
  switch (node.op) {
    case 'Conv1D':
    case 'Conv2D':
    case 'Conv3D':
    case '_FusedConv2D':
    case 'Dilation2D':
      if (param === 'filter') return kernel(-1);
      return as(param === 'args' ? 'vector' : 'other');
    case 'DepthwiseConv2d':
    case 'DepthwiseConv2dNative':
    case 'FusedDepthwiseConv2dNative':
      if (param === 'filter') return kernel([-2, -1]);
      return as(param === 'args' ? 'vector' : 'other');
    case 'Conv2DBackpropInput':
      return param === 'filter' ? kernel(-2) : as('other');
    case 'MatMul':
    case 'BatchMatMul':
    case 'BatchMatMulV2':
    case '_FusedMatMul':
      if (param === 'a') return kernel(attr(node, 'transposeA') ? -1 : -2);
      if (param === 'b') return kernel(attr(node, 'transposeB') ? -2 : -1);
      return as('vector');
    case 'Einsum':
      return kernel(einsumAxes(node, index));
    case 'Gather':
    case 'GatherV2':
      return param === 'x' ? kernel(gatherAxis(node)) : as('other');
    case 'FusedBatchNorm':
    case 'FusedBatchNormV2':
    case 'FusedBatchNormV3':
      if (param === 'mean' || param === 'variance') return as('statistic');
      return as(param === 'scale' || param === 'offset' ? 'vector' : 'other');
    case 'Prelu':
      return as(param === 'alpha' ? 'vector' : 'other');
    default:
      return as(ARITHMETIC.has(node.op) ? 'elementwise' : 'other');
  }
}

/** The nodes that read `weight`, through identities, with the input that it is. */
function readersOf(weight: GraphNode, within: ReadonlySet<GraphNode>): [GraphNode, number][] {
  return [...new Set(weight.children)].flatMap((child): [GraphNode, number][] => {
    if (!within.has(child)) return [];
    if (PASS_ON.has(child.op)) return readersOf(child, within);
    return child.inputs.flatMap((input, i): [GraphNode, number][] => (input === weight ? [[child, i]] : []));
  });
}

/**
 * The float32 constants that the values of `outputs` are computed from, in the order in which they are read.
 *
 * By default trained: kernels; biases, scales, offsets and alphas; and operands of arithmetic with one number per channel
 * behind the first kernel, which folded batch normalization leaves behind. The mean and scale of an input image, a grid of
 * anchors or the 6 of a hard swish are not.
 */
export function findCandidates(
  outputs: readonly GraphNode[],
  weightMap: Record<string, Tensor[]>,
): Candidate[] {
  const order = ancestors(outputs);
  const within = new Set(order);
  const position = new Map(order.map((node, i) => [node, i]));
  const gatherAxis = (node: GraphNode): number => {
    const axis = weightMap[node.inputs[2]?.name ?? '']?.[0]?.dataSync()[0];
    return axis ?? 0;
  };
  const found: { weight: GraphNode; tensor: Tensor; readings: Reading[] }[] = [];
  for (const weight of order) {
    const tensor = weightMap[weight.name]?.[0];
    if (weight.op !== 'Const' || tensor?.dtype !== 'float32') continue;
    const readings = readersOf(weight, within)
      .filter(([node, index]) => carries(node, index))
      .map(([node, index]) => readingOf(node, index, gatherAxis))
      .sort(
        (a, b) =>
          PRIORITY.indexOf(a.role) - PRIORITY.indexOf(b.role) ||
          (position.get(a.node) as number) - (position.get(b.node) as number),
      );
    if (readings.length > 0) found.push({ weight, tensor, readings });
  }
  const kernelReaders = found.flatMap(({ readings }) =>
    readings.filter(({ role }) => role === 'kernel').map(({ node }) => node),
  );
  const behindKernels = descendants(order, new Set(kernelReaders));
  const reachedAt = ({ readings: [first] }: (typeof found)[number]) =>
    position.get((first as Reading).node) as number;
  return found
    .sort((a, b) => reachedAt(a) - reachedAt(b))
    .map(({ weight, tensor, readings }) => {
      const [{ role, node, axis }] = readings as [Reading];
      const vector = isVector(tensor.shape);
      const isOperand = role === 'elementwise' && vector && tensor.size > 1 && behindKernels.has(node);
      return {
        name: weight.name,
        tensor,
        readers: readings.map((reading) => reading.node),
        axis: role !== 'kernel' && vector ? null : usable(axis, tensor.rank),
        byDefault: role === 'kernel' || role === 'vector' || isOperand,
      };
    });
}

/** An axis that a tensor of this rank has: a MatMul's operand may have rank 1. */
function usable(axis: OutputAxis | undefined, rank: number): OutputAxis | undefined {
  const exists = (one: number) => one >= -rank && one < rank;
  return [axis ?? []].flat().every(exists) && rank > 1 ? axis : undefined;
}
