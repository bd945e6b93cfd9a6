/**
 * The rows of a variable: one row per output unit. The output axis comes from the user's override, else
 * from the layer class where a LayersModel is given, else from what was saved with the optimizer, else
 * from the rank (last axis; rank 0 and 1 are one row).
 */

import type { serialization } from '@tensorflow/tfjs-core';
import { describe } from '../validate.js';
import { findByName } from './names.js';
import {
  layoutOfAxis,
  layoutOfLastTwoAxes,
  type RowLayout,
  rowLayoutByRank,
  sameLayout,
} from './row_layout.js';

/**
 * Output axis of a variable, from -rank to rank - 1; null: the whole variable is one row; undefined: the
 * default for this variable.
 */
export type OutputAxisOption = (name: string, shape: number[]) => number | null | undefined;

/** What is needed of a `tf.LayersModel` (or `tf.Sequential`): its layers. */
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
interface LayerLike {
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

/** Collects the layouts of all weights under `node`: nested models, wrappers, RNN cells, then its own. */
function collect(node: unknown, found: Map<string, NamedLayout>, visited: Set<unknown>): void {
  if (node === null || typeof node !== 'object' || visited.has(node)) return;
  visited.add(node);
  if (Array.isArray(node)) {
    for (const child of node) collect(child, found, visited);
    return;
  }
  const { layers, layer, forwardLayer, backwardLayer, cell, cells } = node as LayerLike;
  for (const child of [layers, layer, forwardLayer, backwardLayer, cell, cells]) {
    collect(child, found, visited);
  }
  if (Array.isArray(layers)) return; // a model: everything is in its layers
  const { weights } = node as LayerLike;
  if (!Array.isArray(weights)) return;
  const className = (node as LayerLike).getClassName?.() ?? '';
  for (const weight of weights as WeightLike[]) {
    if (found.has(weight.name)) continue;
    const nameInLayer = weight.originalName.slice(weight.originalName.lastIndexOf('/') + 1);
    const layout = layoutInLayer(className, nameInLayer, weight.name, weight.shape);
    found.set(weight.name, { name: weight.name, shape: weight.shape, layout });
  }
}

/** Finds the row layout of variables. */
export class OutputAxes {
  private readonly fromModel = new Map<string, NamedLayout>();
  private readonly used = new Map<string, NamedLayout>();

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
      if (axis !== null && typeof axis !== 'number') {
        throw new TypeError(
          `outputAxis('${name}', [${shape}]) must return an axis, null or undefined, got ${describe(axis)}`,
        );
      }
      return layoutOfAxis(name, shape, axis);
    }
    const same = (candidate: NamedLayout) => String(candidate.shape) === String(shape);
    if (this.model !== undefined) {
      if (!this.fromModel.has(name)) this.walkModel(); // layers may have been built or added since
      const found = this.fromModel.get(name);
      if (found !== undefined && same(found)) return found.layout;
    }
    const saved = findByName(this.saved, (candidate) => candidate.name, name, same);
    return saved?.layout ?? rowLayoutByRank(shape);
  }

  private walkModel(): void {
    collect(this.model, this.fromModel, new Set());
  }

  /** Names of all variables that the model has now or that were asked for. */
  names(): string[] {
    if (this.model !== undefined) this.walkModel();
    return [...new Set([...this.fromModel.keys(), ...this.used.keys()])];
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

  /** The inverse of {@link toConfig}. */
  static fromConfig(config: unknown): OutputAxes {
    const saved = (config as Array<{ name: string; shape: number[]; layout: [number, number, number] }>).map(
      ({ name, shape, layout: [outer, rows, inner] }) => ({ name, shape, layout: { outer, rows, inner } }),
    );
    return new OutputAxes(undefined, undefined, saved);
  }
}
