/**
 * Fused convolutions that tfjs cannot train, as the operations that they are fused of.
 *
 * In training tfjs takes a fused convolution with an activation apart by itself, but only in the layout NHWC; and one
 * without an activation not at all, so that a dilation throws there, and a gradient that was registered for Conv2D has no
 * say. All are rewritten in the topology: NCHW through
 * transpositions to NHWC, in which every backend computes convolutions. Forward the result is the same.
 */

import * as tf from '@tensorflow/tfjs-core';
import { ACTIVATIONS, FUSED_CONVOLUTIONS, isDilated, skipsInput } from './check.js';
import type { GraphNode, NodeDef, Topology } from './graph.js';

const FLOAT = { type: 'DT_FLOAT' };

function attr(node: GraphNode, name: string): unknown {
  return node.attrParams[name]?.value;
}

function fusedOps(node: GraphNode): string[] {
  return ((attr(node, 'fusedOps') as string[] | undefined) ?? []).map((op) => op.toLowerCase());
}

function isChannelsFirst(node: GraphNode): boolean {
  return String(attr(node, 'dataFormat')).toUpperCase() === 'NCHW';
}

/** Whether tfjs could not train the node as it is, and what it is fused of is known here. */
function isRewritten(node: GraphNode, weightMap: Record<string, tf.Tensor[]>): boolean {
  if (FUSED_CONVOLUTIONS[node.op] === undefined) return false;
  const [extra = '', activation] = fusedOps(node);
  const known = ['biasadd', ''].includes(extra) && (activation === undefined || activation in ACTIVATIONS);
  // A bias or alpha of several axes would have to be turned too.
  const turns = node.inputs.slice(2).every((input) => (weightMap[input.name]?.[0]?.rank ?? 9) <= 1);
  const first = isChannelsFirst(node);
  if (!known) return false;
  return first ? turns : activation === undefined && (isDilated(node) || skipsInput(node, weightMap));
}

const ints = (values: readonly number[]) => ({ list: { i: values.map(String) } });

/** Names of the constants for the permutations. */
const TO_LAST = 'tfjs_ftp/to_channels_last';
const TO_FIRST = 'tfjs_ftp/to_channels_first';

function rewrite(node: GraphNode, raw: NodeDef): NodeDef[] {
  const [, activation] = fusedOps(node);
  const [x, filter, bias, alpha] = raw.input as [string, string, string?, string?];
  const first = isChannelsFirst(node);
  const result: NodeDef[] = [];
  // What the executor reads of the strides and dilations of any layout is elements 1 and 2.
  const pair = (name: string) => {
    const [, a, b] = attr(node, name) as number[];
    return ints([1, a as number, b as number, 1]);
  };
  const given = attr(node, 'explicitPaddings') as number[] | undefined;
  const paddings =
    first && given?.length === 8 ? [0, 1, 4, 5, 6, 7, 2, 3].map((i) => given[i] as number) : given;
  const chain = (op: string, suffix: string, input: string[], attrs: Record<string, unknown>): string[] => {
    const name = suffix === '' ? raw.name : `${raw.name}/tfjs_ftp_${suffix}`;
    result.push({ name, op, input, attr: { T: FLOAT, ...attrs } });
    return [name];
  };
  let last = [x];
  const steps: [string, string, string[], Record<string, unknown>][] = [];
  if (first) steps.push(['Transpose', 'nhwc', [TO_LAST], { Tperm: { type: 'DT_INT32' } }]);
  steps.push([
    FUSED_CONVOLUTIONS[node.op] as string,
    'conv',
    [filter],
    {
      ...(raw.attr?.padding === undefined ? {} : { padding: raw.attr.padding }),
      data_format: { s: 'TkhXQw==' }, // NHWC
      strides: pair('strides'),
      dilations: pair('dilations'),
      ...(paddings === undefined ? {} : { explicit_paddings: ints(paddings) }),
    },
  ]);
  if (bias !== undefined && fusedOps(node)[0] === 'biasadd') steps.push(['AddV2', 'biased', [bias], {}]);
  if (activation !== undefined) {
    const slope = raw.attr?.leakyrelu_alpha;
    const attrs = activation === 'leakyrelu' && slope !== undefined ? { alpha: slope } : {};
    steps.push([
      ACTIVATIONS[activation] as string,
      'activated',
      activation === 'prelu' ? [alpha as string] : [],
      attrs,
    ]);
  }
  if (first) steps.push(['Transpose', 'nchw', [TO_FIRST], { Tperm: { type: 'DT_INT32' } }]);
  for (const [i, [op, suffix, inputs, attrs]] of steps.entries()) {
    last = chain(op, i === steps.length - 1 ? '' : suffix, [...last, ...inputs], attrs);
  }
  return result;
}

/** A topology whose fused convolutions can be trained, and the constants that it has besides; null: nothing to do. */
export function unfuse(
  topology: Topology,
  nodes: readonly GraphNode[],
  weightMap: Record<string, tf.Tensor[]>,
): { topology: Topology; constants: Record<string, tf.Tensor[]> } | null {
  const chosen = new Map(
    nodes.filter((node) => isRewritten(node, weightMap)).map((node) => [node.name, node]),
  );
  if (chosen.size === 0) return null;
  const perm = (name: string): NodeDef => ({ name, op: 'Const', attr: { dtype: { type: 'DT_INT32' } } });
  const node = topology.node.flatMap((raw) => {
    const parsed = chosen.get(raw.name);
    return parsed === undefined ? [raw] : rewrite(parsed, raw);
  });
  return {
    topology: { ...topology, node: [perm(TO_LAST), perm(TO_FIRST), ...node] },
    constants: {
      [TO_LAST]: [tf.tensor1d([0, 2, 3, 1], 'int32')],
      [TO_FIRST]: [tf.tensor1d([0, 3, 1, 2], 'int32')],
    },
  };
}
