/**
 * The rows of a variable: one row per output unit. The output axis comes from the user's override, else
 * from the layer class where a LayersModel is given, else from what was saved with the optimizer, else
 * from the rank (last axis; rank 0 and 1 are one row).
 */

import type { serialization } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import { describe } from '../validate.js';
import type { NamedShape } from './match.js';
import { findByName, stripSuffix } from './names.js';
import {
  layoutOfAxes,
  layoutOfAxis,
  layoutOfLastTwoAxes,
  type RowLayout,
  rowLayoutByRank,
  sameLayout,
} from './row_layout.js';

/**
 * Output axis of a variable, from -rank to rank - 1; several neighbouring axes in ascending order: their elements
 * together, as of a depthwise kernel's [-2, -1]; null: the whole variable is one row.
 */
export type OutputAxis = number | readonly number[] | null;

/** {@link OutputAxis} of a variable; undefined: the default for this variable. */
export type OutputAxisOption = (name: string, shape: number[]) => OutputAxis | undefined;

/**
 * What is needed of a `tf.LayersModel` (or `tf.Sequential`): its layers. What `trainable` of `tfjs-ftp/models` returns is
 * one too.
 */
export interface ModelLike {
  layers: unknown[];
}

/** A layout under the name that its variable had. */
interface NamedLayout {
  name: string;
  shape: number[];
  layout: RowLayout;
}

/** The fields of tfjs-layers that are looked at, on models, layers, wrappers and RNN cells alike. */
export interface LayerLike {
  name?: unknown;
  getClassName?: () => string;
  layers?: unknown;
  layer?: unknown;
  forwardLayer?: unknown;
  backwardLayer?: unknown;
  cell?: unknown;
  cells?: unknown;
  weights?: unknown;
}

interface WeightLike {
  name: string;
  originalName: string;
  shape: number[];
  /** Where the weight itself knows its rows, whatever the class of its layer. */
  outputAxis?: OutputAxis;
}

function layoutOf(name: string, shape: number[], axis: OutputAxis): RowLayout {
  return typeof axis === 'object' && axis !== null
    ? layoutOfAxes(name, shape, axis)
    : layoutOfAxis(name, shape, axis);
}

/** Rows of one weight of a layer of class `className`; `weight` is its name within the layer. */
function layoutInLayer(className: string, weight: string, name: string, shape: number[]): RowLayout {
  const rank = shape.length;
  if (rank < 2) return rowLayoutByRank(shape);
  if (/^Conv[23]DTranspose$/.test(className) && weight === 'kernel') return layoutOfAxis(name, shape, -2);
  if (weight === 'depthwise_kernel') return layoutOfLastTwoAxes(shape);
  if (className === 'Embedding' && weight === 'embeddings') return layoutOfAxis(name, shape, 0);
  return rowLayoutByRank(shape);
}

/** The rows that a variable's name speaks for, by tfjs's names of weights and layers. */
function layoutByName(name: string, shape: number[]): RowLayout {
  const path = stripSuffix(name);
  const weight = path.slice(path.lastIndexOf('/') + 1);
  const transposed = /conv([23])d_?transpose/i.exec(path.slice(0, path.lastIndexOf('/') + 1));
  const embedding = weight === 'embeddings' && shape.length === 2 && path !== weight;
  const className = transposed ? `Conv${transposed[1]}DTranspose` : embedding ? 'Embedding' : '';
  return layoutInLayer(className, weight, name, shape);
}

/** Layers within a node: those of a nested model, of a wrapper, of an RNN. */
function childrenOf(node: object): unknown[] {
  if (Array.isArray(node)) return node;
  const { layers, layer, forwardLayer, backwardLayer, cell, cells } = node as LayerLike;
  return [layers, layer, forwardLayer, backwardLayer, cell, cells];
}

/** Calls `visit` for everything under `node`, itself last, each once. */
export function walk(node: unknown, visit: (node: LayerLike) => void, visited = new Set<unknown>()): void {
  if (node === null || typeof node !== 'object' || visited.has(node)) return;
  visited.add(node);
  for (const child of childrenOf(node)) walk(child, visit, visited);
  visit(node);
}

/** Adds the layouts of the own weights of a layer. */
function collect(node: LayerLike, found: Map<string, NamedLayout>): void {
  if (Array.isArray(node) || Array.isArray(node.layers)) return; // a model: everything is in its layers
  const { weights } = node;
  if (!Array.isArray(weights)) return;
  const className = node.getClassName?.() ?? '';
  for (const weight of weights as WeightLike[]) {
    if (found.has(weight.name)) continue;
    const nameInLayer = weight.originalName.slice(weight.originalName.lastIndexOf('/') + 1);
    const layout =
      weight.outputAxis === undefined
        ? layoutInLayer(className, nameInLayer, weight.name, weight.shape)
        : layoutOf(weight.name, weight.shape, weight.outputAxis);
    found.set(weight.name, { name: weight.name, shape: weight.shape, layout });
  }
}

/** Finds the row layout of variables. */
export class OutputAxes {
  private readonly fromModel = new Map<string, NamedLayout>();
  private readonly used = new Map<string, NamedLayout>();
  private readonly guesses = new Set<string>();

  constructor(
    private readonly model: ModelLike | undefined,
    private readonly override: OutputAxisOption | undefined,
    private readonly saved: readonly NamedLayout[] = [],
  ) {
    if (model !== undefined && !Array.isArray((model as ModelLike | null)?.layers)) {
      throw new TypeError(`model must be a tf.LayersModel, got ${describe(model)}`);
    }
    if (override !== undefined && typeof override !== 'function') {
      throw new TypeError(`outputAxis must be a function of name and shape, got ${describe(override)}`);
    }
  }

  /** @throws TypeError or RangeError where the override returns something else than an axis. */
  layoutOf(name: string, shape: number[]): RowLayout {
    const layout = this.find(name, shape);
    this.used.set(name, { name, shape, layout });
    return layout;
  }

  private find(name: string, shape: number[]): RowLayout {
    const axis: unknown = this.override?.(name, [...shape]);
    if (axis !== undefined) {
      const isAxis = axis === null || typeof axis === 'number';
      const isAxes = Array.isArray(axis) && axis.every((one) => typeof one === 'number');
      if (!isAxis && !isAxes) {
        throw new TypeError(
          `outputAxis('${name}', [${shape}]) must return an axis, an array of axes, null or undefined, ` +
            `got ${describe(axis)}`,
        );
      }
      return layoutOf(name, shape, axis as OutputAxis);
    }
    const same = (candidate: NamedLayout) => String(candidate.shape) === String(shape);
    if (this.model !== undefined) {
      if (!this.fromModel.has(name)) this.walkModel(); // layers may have been built or added since
      const found = this.fromModel.get(name);
      if (found !== undefined && same(found)) return found.layout;
    }
    const saved = findByName(this.saved, (candidate) => candidate.name, name, same);
    if (saved !== undefined) return saved.layout;
    const layout = rowLayoutByRank(shape);
    if (!sameLayout(layout, layoutByName(name, shape))) this.guesses.add(name);
    return layout;
  }

  private walkModel(): void {
    walk(this.model, (node) => collect(node, this.fromModel));
  }

  /** Whether the rows of a variable were taken from its rank alone, though its name speaks for others. */
  isDoubtful(name: string): boolean {
    return this.guesses.has(name);
  }

  /** Names of the weights of all layers that are called `layer`, of nested models too. */
  weightsOfLayer(layer: string): Set<string> {
    const found = new Map<string, NamedLayout>();
    walk(this.model, (node) => {
      if (node !== this.model && node.name === layer) walk(node, (inner) => collect(inner, found));
    });
    return new Set(found.keys());
  }

  /**
   * Checks that the model has one of the variables `names`.
   *
   * @throws FtpError MODEL_MISMATCH.
   */
  checkModel(names: readonly string[]): void {
    if (this.model === undefined) return;
    this.walkModel();
    if (names.some((name) => this.fromModel.has(name))) return;
    const show = (list: string[]) => list.slice(0, 4).join(', ') + (list.length > 4 ? ', ...' : '');
    throw new FtpError(
      'MODEL_MISMATCH',
      `model has none of the variables of this step (${show([...names])}); its weights: ` +
        `${show([...this.fromModel.keys()]) || 'none'}. Give the model that is trained`,
    );
  }

  /** All variables that the model has now, in the order of its layers. */
  ofModel(): NamedShape[] {
    if (this.model !== undefined) this.walkModel();
    return [...this.fromModel.values()];
  }

  /** All variables that the model has now or that were asked for, each once. */
  known(): NamedShape[] {
    return [...new Map([...this.ofModel(), ...this.used.values()].map((one) => [one.name, one])).values()];
  }

  /** Their names. */
  names(): string[] {
    return this.known().map(({ name }) => name);
  }

  /** As JSON: every layout that the rank alone would not give. */
  toConfig(): serialization.ConfigDict[] {
    const all = new Map(this.saved.map((entry) => [entry.name, entry]));
    if (this.model !== undefined) this.walkModel();
    for (const { name, shape } of this.fromModel.values()) {
      all.set(name, { name, shape, layout: this.find(name, shape) });
    }
    for (const entry of this.used.values()) all.set(entry.name, entry);
    return [...all.values()]
      .filter(({ shape, layout }) => !sameLayout(layout, rowLayoutByRank(shape)))
      .map(({ name, shape, layout: { outer, rows, inner } }) => ({
        name,
        shape,
        layout: [outer, rows, inner],
      }));
  }

  /**
   * The inverse of {@link toConfig}.
   *
   * @throws FtpError STATE_MISMATCH for what toConfig does not give.
   */
  static fromConfig(config: unknown): OutputAxes {
    if (!Array.isArray(config) || !config.every(isSavedLayout)) {
      throw new FtpError(
        'STATE_MISMATCH',
        `the configuration's 'layouts' is not what an FTP optimizer saves, got ${describe(config)}`,
      );
    }
    const saved = config.map(({ name, shape, layout: [outer, rows, inner] }) => ({
      name,
      shape,
      layout: { outer, rows, inner },
    }));
    return new OutputAxes(undefined, undefined, saved);
  }
}

interface SavedLayout {
  name: string;
  shape: number[];
  layout: [number, number, number];
}

function isSavedLayout(value: unknown): value is SavedLayout {
  const { name, shape, layout } = (value ?? {}) as Partial<SavedLayout>;
  const areCounts = (list: unknown) => Array.isArray(list) && list.every((count) => Number.isInteger(count));
  return typeof name === 'string' && areCounts(shape) && areCounts(layout) && layout?.length === 3;
}
