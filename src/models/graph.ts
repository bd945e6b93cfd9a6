/**
 * What is needed of a `tf.GraphModel`, its executor and its graph. tfjs-converter declares these private; they are the same
 * from tfjs 3 on. Nothing here imports tfjs-converter, so any copy of it will do.
 */

import type { io, NamedTensorMap, Tensor } from '@tensorflow/tfjs-core';

/** What `trainable` needs of a `tf.GraphModel`. */
export interface GraphModelLike {
  readonly inputNodes: string[];
  readonly outputNodes: string[];
  predict(
    inputs: Tensor | Tensor[] | NamedTensorMap,
    config?: { batchSize?: number; verbose?: boolean },
  ): Tensor | Tensor[] | NamedTensorMap;
  execute(inputs: Tensor | Tensor[] | NamedTensorMap, outputs?: string | string[]): Tensor | Tensor[];
  dispose(): void;
}

interface InputParam {
  type: string;
  inputIndexStart?: number;
  /** 0: to the end; undefined: one input. */
  inputIndexEnd?: number;
}

export interface GraphNode {
  name: string;
  op: string;
  category?: string;
  inputNames: string[];
  inputs: GraphNode[];
  children: GraphNode[];
  inputParams: Record<string, InputParam>;
  attrParams: Record<string, { value?: unknown } | undefined>;
}

/** A node as model.json has it. */
export interface NodeDef {
  name: string;
  op: string;
  input?: string[];
  attr?: Record<string, unknown>;
}

export interface Topology {
  node: NodeDef[];
  [key: string]: unknown;
}

interface Signature {
  inputs?: Record<string, { name: string; tensorShape?: unknown }>;
  outputs?: Record<string, { name: string }>;
}

export interface Executor {
  graph: { nodes: Record<string, GraphNode>; inputs: GraphNode[]; outputs: GraphNode[] };
  /** Its setter notes the ids of the tensors, which the executor must not dispose. */
  weightMap: Record<string, Tensor[]>;
  _signature?: Signature;
  resourceManager: unknown;
}

/** The private side of a loaded GraphModel. */
export interface Internals {
  executor: Executor;
  initializer?: Executor;
  artifacts: io.ModelArtifacts & { modelTopology: Topology; signature?: Signature };
  resourceManager: unknown;
}

/** 'conv2d/Relu:1' -> ['conv2d/Relu', 1]. */
export function nodeName(tensorName: string): string {
  const colon = tensorName.indexOf(':');
  return colon < 0 ? tensorName : tensorName.slice(0, colon);
}

/** The parameter that input `index` of a node is, by tfjs-converter's table of operations. */
export function paramOf(node: GraphNode, index: number): { name: string; type: string } | undefined {
  const count = node.inputNames.length;
  for (const [name, { type, inputIndexStart, inputIndexEnd }] of Object.entries(node.inputParams)) {
    if (inputIndexStart === undefined) continue;
    const start = inputIndexStart < 0 ? count + inputIndexStart : inputIndexStart;
    let end = inputIndexEnd === undefined ? start + 1 : inputIndexEnd;
    if (end <= 0) end += count; // 0 is the end, -1 the last but one
    if (index >= start && index < end) return { name, type };
  }
  return undefined;
}

/** Operations that give a shape and not values: nothing of their input reaches their result. */
const SHAPES = new Set(['Shape', 'ShapeN', 'Size', 'Rank', 'NoOp']);

/** Whether values of input `index` enter a node's result as a tensor: shapes and axes are read as numbers, off the tape. */
export function carries(node: GraphNode, index: number): boolean {
  if (SHAPES.has(node.op)) return false;
  if (node.category === 'custom') return true;
  const type = paramOf(node, index)?.type;
  return type === 'tensor' || type === 'tensors';
}

/** `outputs` and all nodes that they are computed from, inputs before what is made of them. */
export function ancestors(outputs: readonly GraphNode[]): GraphNode[] {
  const order: GraphNode[] = [];
  const entered = new Set<GraphNode>();
  const stack: { node: GraphNode; next: number }[] = [];
  const enter = (node: GraphNode | undefined) => {
    if (node === undefined || entered.has(node)) return;
    entered.add(node);
    stack.push({ node, next: 0 });
  };
  for (const output of outputs) {
    enter(output);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      if (top.next < top.node.inputs.length) enter(top.node.inputs[top.next++]);
      else order.push((stack.pop() as typeof top).node);
    }
  }
  return order;
}

/** Of `order` (inputs first), the nodes that the values of `sources` enter, `sources` themselves included. */
export function descendants(
  order: readonly GraphNode[],
  sources: ReadonlySet<GraphNode>,
  passes: (node: GraphNode, index: number) => boolean = carries,
): Set<GraphNode> {
  const reached = new Set<GraphNode>();
  for (const node of order) {
    if (sources.has(node) || node.inputs.some((input, i) => reached.has(input) && passes(node, i))) {
      reached.add(node);
    }
  }
  return reached;
}

/** Of `order` (inputs first), the nodes whose values enter one of `outputs`. */
export function leadingTo(order: readonly GraphNode[], outputs: Iterable<GraphNode>): Set<GraphNode> {
  const leading = new Set<GraphNode>(outputs);
  for (const node of [...order].reverse()) {
    if (!leading.has(node)) continue;
    for (const [i, input] of node.inputs.entries()) if (carries(node, i)) leading.add(input);
  }
  return leading;
}

/** Operations that cannot run in one synchronous pass, and so not within a gradient. */
const UNSUPPORTED: Record<string, string> = {
  ...Object.fromEntries(
    [
      ...['Switch', 'Merge', 'Enter', 'Exit', 'NextIteration', 'LoopCond'],
      ...['If', 'StatelessIf', 'While', 'StatelessWhile'],
    ].map((op) => [op, 'is control flow']),
  ),
  ...Object.fromEntries(
    [
      ...['NonMaxSuppressionV2', 'NonMaxSuppressionV3', 'NonMaxSuppressionV4', 'NonMaxSuppressionV5'],
      ...['Where', 'ListDiff'],
    ].map((op) => [op, 'has a shape that depends on values']),
  ),
};

/** Why a node can only run in `executeAsync`; undefined: it need not. */
export function whyAsync({ op }: GraphNode): string | undefined {
  if (/^(HashTable|LookupTable|InitializeTable)/.test(op)) return 'is a lookup table';
  if (/^Tensor(Array|List)|^EmptyTensorList/.test(op)) return 'is a list of a loop';
  return UNSUPPORTED[op];
}
