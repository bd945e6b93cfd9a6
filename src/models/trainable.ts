/** GraphModels whose weights are variables. */

import * as tf from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { checkInteger, checkOptionKeys, describe } from '../validate.js';
import type { ModelLike, OutputAxis, OutputAxisOption } from '../variables/output_axis.js';
import { findMissingGradients, type MissingGradient } from './check.js';
import {
  ancestors,
  descendants,
  type Executor,
  type GraphModelLike,
  type GraphNode,
  type Internals,
  leadingTo,
  nodeName,
  whyAsync,
} from './graph.js';
import { type Candidate, findCandidates } from './roles.js';
import { checkSaveOptions, findHandler, presentArtifacts, type SaveOptions } from './save.js';
import { unfuse } from './unfuse.js';

/** A substring of names, or a regular expression that they match. */
export type WeightPattern = string | RegExp;

/** Options of {@link trainable}. */
export interface TrainableOptions {
  /**
   * Which float32 constants become variables, by their names in the graph. Default: filters, matrices, embeddings, biases,
   * scales, offsets and alphas; of the constants that only arithmetic reads, those with one number per channel behind the
   * first of these. Means and variances of batch normalization stay, so that it runs as in inference.
   */
  match?: readonly WeightPattern[] | ((name: string, shape: number[]) => boolean);
  /** Constants of a lower rank stay. A whole number from 0 to 6, default 1: scalars stay. 2 leaves biases out. */
  minRank?: number;
  /**
   * Names of the nodes whose values `predict` gives, of any node of the graph (`'node'`, or `'node:1'` for its second
   * result). Default: the outputs of the model. Constants that these do not depend on stay.
   */
  outputs?: readonly string[];
  /**
   * Shapes of inputs, by the name of the input, where the model fixes more than it must: -1 takes any size. Whether the
   * rest of the graph can compute with another size is up to the graph; many reshape to a batch of 1 near their ends.
   */
  inputShapes?: Readonly<Record<string, readonly number[]>>;
  /** In front of the names of the variables. Default: none. Two models with the same names need one. */
  prefix?: string;
}

const OPTIONS = ['match', 'minRank', 'outputs', 'inputShapes', 'prefix'];

/** A layer in the eyes of our optimizers: an operation with the variables that it reads. */
interface GraphLayer {
  name: string;
  getClassName(): string;
  weights: { name: string; originalName: string; shape: number[]; outputAxis?: OutputAxis }[];
}

/** A list of names for a message. */
function some(names: readonly string[]): string {
  return names.slice(0, 6).join(', ') + (names.length > 6 ? ', ...' : '') || 'none';
}

function internalsOf(graphModel: unknown): Internals {
  const { executor, artifacts } = (graphModel ?? {}) as Partial<Internals>;
  if (executor?.graph?.nodes === undefined || executor.weightMap === undefined || artifacts === undefined) {
    throw new TypeError(`graphModel must be a tf.GraphModel that is loaded, got ${describe(graphModel)}`);
  }
  const all = Object.values(executor.weightMap).flat();
  if (all.some((tensor) => tensor instanceof tf.Variable)) {
    throw new TypeError('graphModel must be a tf.GraphModel that is not trainable yet, got one that is');
  }
  if (all.some((tensor) => tensor.isDisposed)) {
    throw new TypeError('graphModel must be a tf.GraphModel with its weights, got one that was disposed');
  }
  return graphModel as Internals;
}

function checkMatch(match: TrainableOptions['match']): void {
  if (match === undefined || typeof match === 'function') return;
  const accepted = 'match must be an array of non-empty strings and RegExps, or a function of name and shape';
  if (!Array.isArray(match)) throw new TypeError(`${accepted}, got ${describe(match)}`);
  for (const item of match) {
    if (typeof item !== 'string' && !(item instanceof RegExp)) {
      throw new TypeError(`${accepted}, got ${describe(item)} in it`);
    }
    if (item === '') throw new RangeError(`${accepted}, got ''`);
  }
}

/** The node that an output's name means, by the signature too. */
function findOutput({ graph: { nodes }, _signature }: Executor, name: unknown): GraphNode {
  const accepted = 'outputs must be a non-empty array of names of nodes of the graph';
  if (typeof name !== 'string') throw new TypeError(`${accepted}, got ${describe(name)} in it`);
  const node = nodes[nodeName(_signature?.outputs?.[name]?.name ?? name)];
  if (node === undefined) {
    const word = name.split('/').at(-1) as string;
    const similar = Object.keys(nodes).filter((other) => other.includes(word));
    throw new RangeError(`${accepted}, got ${describe(name)}; similar: ${some(similar)}`);
  }
  return node;
}

function refuseAsync(nodes: readonly GraphNode[]): void {
  for (const node of nodes) {
    const reason = whyAsync(node);
    if (reason === undefined) continue;
    throw new FtpError(
      'GRAPH_UNSUPPORTED',
      `The node '${node.name}' (${node.op}) ${reason}: it runs in executeAsync alone, which cannot be trained. ` +
        'Give outputs that come before it',
    );
  }
}

function checkShapes({ graph: { nodes }, _signature }: Executor, shapes: unknown): Map<GraphNode, number[]> {
  const accepted = 'inputShapes must be an object of shapes by the name of an input';
  if (shapes === null || typeof shapes !== 'object')
    throw new TypeError(`${accepted}, got ${describe(shapes)}`);
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const node = nodes[nodeName(_signature?.inputs?.[name]?.name ?? name)];
      if (node?.op !== 'Placeholder') throw new RangeError(`${accepted}, got the name ${describe(name)}`);
      if (!Array.isArray(shape)) throw new TypeError(`${accepted}, got ${describe(shape)} for '${name}'`);
      const most = Number.MAX_SAFE_INTEGER;
      return [node, shape.map((size) => checkInteger(`inputShapes['${name}']`, size, -1, most))];
    }),
  );
}

/** Which candidates are trained. */
function choose(candidates: readonly Candidate[], { match, minRank }: TrainableOptions): Candidate[] {
  const wanted = ({ name, tensor, byDefault }: Candidate): boolean => {
    if (match === undefined) return byDefault;
    if (typeof match !== 'function') {
      return match.some((item) =>
        typeof item === 'string' ? name.includes(item) : new RegExp(item.source, item.flags).test(name),
      );
    }
    const result: unknown = match(name, [...tensor.shape]);
    if (typeof result === 'boolean') return result;
    throw new TypeError(`match('${name}', [${tensor.shape}]) must return a boolean, got ${describe(result)}`);
  };
  const least = minRank === undefined ? 1 : checkInteger('minRank', minRank, 0, 6);
  const chosen = candidates.filter((candidate) => candidate.tensor.rank >= least && wanted(candidate));
  if (chosen.length > 0) return chosen;
  throw new FtpError(
    'UNMATCHED_PATTERN',
    `No float32 constant on the way to the outputs is of rank ${least} or more and wanted by ` +
      `${match === undefined ? 'default' : 'match'}; there are: ${some(candidates.map(({ name }) => name))}`,
  );
}

/** Variables that exist, by name: tfjs refuses a second one in the middle of the work otherwise. */
function registeredNames(): Record<string, unknown> {
  return (tf.engine() as unknown as { registeredVariables: Record<string, unknown> }).registeredVariables;
}

/**
 * A GraphModel whose weights are variables; {@link trainable} makes it. Give it to an optimizer as `model`, for the rows of
 * its variables.
 */
export class TrainableGraphModel implements ModelLike {
  /** The GraphModel that it is made of, which computes with the same variables. Its own `save` writes the old weights. */
  readonly graphModel: GraphModelLike;
  /** The variables, in the order in which the graph reads them. */
  readonly variables: readonly tf.Variable[];
  /** The operations that read them, in the role of layers: what makes this a `model` for the optimizers. */
  readonly layers: unknown[];
  /** Names of the nodes whose values `predict` gives; null: the model's own. */
  readonly outputs: readonly string[] | null;

  /** The rows of the variables as a function, for the optimizers' option of this name; undefined for other variables. */
  readonly outputAxis: OutputAxisOption;

  private disposed = false;

  /** @internal */
  constructor(
    graphModel: GraphModelLike,
    variables: ReadonlyMap<Candidate, tf.Variable>,
    outputs: readonly string[] | null,
    private readonly outputNodes: readonly GraphNode[],
    private readonly shapes: ReadonlyMap<string, readonly number[]>,
  ) {
    this.graphModel = graphModel;
    this.variables = [...variables.values()];
    this.outputs = outputs;
    const layers = new Map<GraphNode, GraphLayer>();
    const axes = new Map<string, OutputAxis>();
    for (const [{ axis, readers, name: originalName }, { name, shape }] of variables) {
      if (axis !== undefined) axes.set(name, axis);
      const weight = { name, originalName, shape, ...(axis === undefined ? {} : { outputAxis: axis }) };
      for (const reader of readers) {
        const layer = layers.get(reader);
        if (layer) layer.weights.push(weight);
        else layers.set(reader, { name: reader.name, getClassName: () => reader.op, weights: [weight] });
      }
    }
    this.layers = [...layers.values()];
    this.outputAxis = (name) => axes.get(name);
  }

  private get internals(): Internals {
    if (this.disposed) {
      throw new FtpError('VARIABLE_DISPOSED', 'The model was disposed, and its variables with it');
    }
    return this.graphModel as unknown as Internals;
  }

  /**
   * Computes the outputs. Within `optimizer.minimize` or `tf.variableGrads`, with gradients for the variables.
   *
   * @param inputs as for `GraphModel.predict`.
   * @param outputs names of other nodes, for this call.
   * @returns what `GraphModel.predict` gives; with `outputs`, here or as an option of {@link trainable}, one tensor for one
   *   name and an array in their order for several. The caller's to dispose.
   * @throws RangeError if a name is of no node, FtpError VARIABLE_DISPOSED after {@link dispose}.
   */
  predict(
    inputs: tf.Tensor | tf.Tensor[] | tf.NamedTensorMap,
    outputs: readonly string[] | null = this.outputs,
  ): tf.Tensor | tf.Tensor[] | tf.NamedTensorMap {
    const { executor } = this.internals;
    if (outputs === null) return this.graphModel.predict(inputs);
    for (const name of outputs) findOutput(executor, name);
    return this.graphModel.execute(inputs, [...outputs]);
  }

  /**
   * Lists, before training, each node on the way from a variable to an output that has no gradient on the present backend,
   * or a wrong one.
   *
   * @returns an entry per node, inputs first; none: the outputs can be trained on.
   * @throws FtpError VARIABLE_DISPOSED after {@link dispose}.
   */
  check(): MissingGradient[] {
    const { executor } = this.internals;
    const order = ancestors(this.outputNodes);
    const own = new Set<tf.Tensor>(this.variables);
    const sources = order.filter(({ name }) => own.has(executor.weightMap[name]?.[0] as tf.Tensor));
    const reached = descendants(order, new Set(sources));
    const leading = leadingTo(order, this.outputNodes);
    return findMissingGradients(
      new Set(order.filter((node) => reached.has(node) && leading.has(node))),
      executor.weightMap,
    );
  }

  /**
   * Writes the model with its present weights as a GraphModel that `tf.loadGraphModel` loads anywhere, without this package.
   *
   * @param handler an `IOHandler`, or a URL as for `GraphModel.save` (`'file://folder'` with tfjs-node).
   * @param options see {@link SaveOptions}. Nothing is quantized by default, also where the loaded model was.
   * @returns what the handler says.
   * @throws TypeError or RangeError for a handler or option that will not do, RangeError for a weight that the format cannot
   *   hold; FtpError VARIABLE_DISPOSED after {@link dispose}.
   */
  async save(handler: string | tf.io.IOHandler, options: SaveOptions = {}): Promise<tf.io.SaveResult> {
    const { artifacts, executor } = this.internals;
    const quantization = checkSaveOptions(options);
    const target = findHandler(handler);
    const present = await presentArtifacts(artifacts, executor.weightMap, this.shapes, quantization);
    return (target.save as NonNullable<tf.io.IOHandler['save']>)(present);
  }

  /** Disposes the GraphModel with its variables and constants. Disposing it twice does nothing. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.graphModel.dispose();
  }
}

/** A copy of the graph that can be trained, in place of the model's own, where that cannot. */
function rewriteGraph(model: Internals, graphModel: GraphModelLike, nodes: readonly GraphNode[]): void {
  const { artifacts, executor } = model;
  const rewritten = unfuse(artifacts.modelTopology, nodes, executor.weightMap);
  if (rewritten === null) return;
  const { topology: modelTopology, constants } = rewritten;
  const handler = {
    load: () => ({
      ...artifacts,
      getWeightStream: undefined,
      modelTopology,
      weightSpecs: [],
      weightData: new ArrayBuffer(0),
    }),
  };
  // The class of the model that was given: there may be several copies of tfjs-converter.
  const Loader = (graphModel as object).constructor as new (
    from: typeof handler,
  ) => Internals & { load(): unknown };
  const fresh = new Loader(handler);
  fresh.load();
  fresh.executor.weightMap = { ...executor.weightMap, ...constants };
  fresh.executor.resourceManager = model.resourceManager;
  model.executor = fresh.executor;
}

/**
 * Makes a GraphModel trainable: its float32 weights become variables, which it computes with from then on.
 *
 * `tf.loadGraphModel` gives a model for inference: its weights are constants of a graph. Here each of them becomes one
 * `tf.Variable`, however many nodes read it, under its name in the graph. int32 constants, shapes, axes, scalars, statistics of
 * batch normalization and mere numbers stay as they are; `match` and `minRank` choose otherwise. The operation that reads a
 * variable tells its output axis: the last axis of a convolution's filter, the last two of a depthwise one's together, the
 * last but one of a transposed one's, by `transpose_a` and `transpose_b` for MatMul, by the equation for Einsum, the axis that
 * Gather picks from. What has one number per channel is a single row.
 *
 * The graph must run synchronously: control flow, and operations whose shapes depend on values, are refused where an output
 * depends on them. Fused convolutions that tfjs cannot train (NCHW; dilated without an activation) are taken apart.
 *
 * @param graphModel from `tf.loadGraphModel`. It is changed: it computes with the variables, and disposes them when it is
 *   disposed. After an error it is as before.
 * @returns the model with `variables`, `predict`, `check`, `save` and `dispose`. The caller's to dispose.
 * @throws TypeError unless graphModel is a GraphModel with its weights, not trainable yet; TypeError or RangeError for a wrong
 *   option, FtpError `GRAPH_UNSUPPORTED` for a graph that needs executeAsync, `UNMATCHED_PATTERN` if no weight is left to
 *   train, `VARIABLE_EXISTS` if a variable has the name of one of its weights: give a `prefix`.
 *
 * @example
 * ```ts
 * import 'tfjs-ftp/models/gradients';
 * import { trainable } from 'tfjs-ftp/models';
 *
 * const net = trainable(graphModel);
 * for (const { node, reason, advice } of net.check()) console.warn(`${node}: ${reason}; ${advice}`);
 * const optimizer = ftp.adamw(1e-2, { model: net });
 * optimizer.minimize(() => tf.losses.meanSquaredError(targets, net.predict(images)));
 * const saved = [];
 * await net.save({ save: async (artifacts) => ({ modelArtifactsInfo: saved.push(artifacts) }) }, { quantization: 'original' });
 * ```
 */
export function trainable(graphModel: GraphModelLike, options: TrainableOptions = {}): TrainableGraphModel {
  const model = internalsOf(graphModel);
  checkOptionKeys('options', options, OPTIONS);
  checkMatch(options.match);
  const { outputs = null, prefix = '', inputShapes = {} } = options;
  if (typeof prefix !== 'string') throw new TypeError(`prefix must be a string, got ${describe(prefix)}`);
  if (outputs !== null && (!Array.isArray(outputs) || outputs.length === 0)) {
    const came = Array.isArray(outputs) ? 'an empty one' : describe(outputs);
    throw new TypeError(`outputs must be a non-empty array of names of nodes of the graph, got ${came}`);
  }
  const original = model.executor;
  const find = () =>
    outputs === null ? model.executor.graph.outputs : outputs.map((name) => findOutput(model.executor, name));
  const nodes = ancestors(find());
  refuseAsync(nodes);
  checkShapes(original, inputShapes);
  try {
    rewriteGraph(model, graphModel, nodes);
    const { executor } = model;
    const outputNodes = find();
    const chosen = choose(findCandidates(outputNodes, executor.weightMap), options);
    const taken = chosen
      .map(({ name }) => prefix + name)
      .filter((name) => registeredNames()[name] !== undefined);
    if (taken.length > 0) {
      throw new FtpError(
        'VARIABLE_EXISTS',
        `There are variables of these names: ${some(taken)}. Give a prefix`,
      );
    }
    const variables = new Map(
      chosen.map((one) => [one, tf.variable(one.tensor, true, prefix + one.name)] as const),
    );
    const weightMap = { ...executor.weightMap };
    for (const [{ name, tensor }, variable] of variables) {
      weightMap[name] = [variable];
      tensor.dispose();
    }
    executor.weightMap = weightMap;
    if (model.initializer !== undefined) model.initializer.weightMap = weightMap;
    const shapes = checkShapes(executor, inputShapes);
    for (const [node, shape] of shapes) node.attrParams.shape = { ...node.attrParams.shape, value: shape };
    const byName = new Map([...shapes].map(([{ name }, shape]) => [name, shape]));
    return new TrainableGraphModel(graphModel, variables, outputs && [...outputs], outputNodes, byName);
  } catch (error) {
    if (model.executor !== original) {
      const added = Object.entries(model.executor.weightMap).filter(
        ([name]) => !(name in original.weightMap),
      );
      tf.dispose(added.flatMap(([, tensors]) => tensors));
      model.executor = original;
    }
    throw error;
  }
}
