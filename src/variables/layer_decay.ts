/** Learning rates that fall from the last layer to the first. */

import type { serialization } from '@tensorflow/tfjs-core';
import { checkNumber, checkOptionKeys, describe } from '../validate.js';
import { type NamedShape, type Pattern, Patterns, type WeightsOfLayer } from './match.js';
import { findByName, savedString, stringOf } from './names.js';
import type { LayerLike, ModelLike } from './output_axis.js';

/** Layers that have a decay in common, from the input to the output: a pattern, or several, for each. */
export interface LayerDecayOptions {
  /** Factor from a layer to the one before it: > 0 and <= 1. */
  decay: number;
  /** What belongs to each layer, as in {@link VariableGroup.match}; the first that matches counts. */
  layers: ReadonlyArray<Pattern | readonly Pattern[]>;
}

/** See {@link PerVariableOptions.layerDecay}. */
export type LayerDecayOption = number | LayerDecayOptions;

const ACCEPTED = 'layerDecay must be a number > 0 and <= 1 or {decay, layers}';

interface NamedLayer {
  name: string;
  layer: number;
}

/** Where a variable is; null: it belongs to no layer. */
interface Found {
  layer: number | null;
  count: number;
}

/** Names of the weights of each layer that has any, in the model's order; the layers of a nested model count each. */
function layersOfModel(model: ModelLike): string[][] {
  return (model.layers as LayerLike[]).flatMap((layer) => {
    if (Array.isArray(layer.layers)) return layersOfModel(layer as ModelLike);
    const names = ((layer.weights ?? []) as Array<{ name: string }>).map(({ name }) => name);
    return names.length > 0 ? [names] : [];
  });
}

function checkDecay(name: string, value: unknown): number {
  return checkNumber(name, value, { above: 0, max: 1 });
}

export class LayerDecay {
  private constructor(
    private readonly decay: number,
    private readonly find: (variable: NamedShape) => Found,
    private readonly patterns: readonly Patterns[] | null,
    private readonly namedLayers: () => { list: readonly NamedLayer[]; count: number },
  ) {}

  /** @throws TypeError or RangeError for what is no such option, and for a number without a model. */
  static of(option: unknown, model: ModelLike | undefined, weightsOfLayer?: WeightsOfLayer): LayerDecay {
    if (typeof option === 'number') {
      const decay = checkDecay('layerDecay', option);
      if (model === undefined) {
        throw new RangeError(
          `layerDecay must be {decay, layers} without the option model, which tells the layers; got ${option}`,
        );
      }
      return LayerDecay.byName(decay, () => {
        const layers = layersOfModel(model);
        return {
          list: layers.flatMap((names, layer) => names.map((name) => ({ name, layer }))),
          count: layers.length,
        };
      });
    }
    if (option === null || typeof option !== 'object' || Array.isArray(option) || !('decay' in option)) {
      throw new TypeError(`${ACCEPTED}, got ${describe(option)}`);
    }
    checkOptionKeys('layerDecay', option, ['decay', 'layers']);
    const { decay, layers } = option as { decay: unknown; layers?: unknown };
    if (!Array.isArray(layers) || layers.length === 0) {
      throw new TypeError(
        `layerDecay.layers must be an array of at least one pattern, got ${describe(layers)}`,
      );
    }
    const patterns = layers.map((item, i) =>
      Patterns.of(termsOf(i), Array.isArray(item) ? item : [item], weightsOfLayer),
    );
    return LayerDecay.byPatterns(checkDecay('layerDecay.decay', decay), patterns);
  }

  private static byPatterns(decay: number, patterns: readonly Patterns[]): LayerDecay {
    const find = (variable: NamedShape) => {
      const layer = patterns.findIndex((list) => list.matches(variable));
      return { layer: layer < 0 ? null : layer, count: patterns.length };
    };
    return new LayerDecay(decay, find, patterns, () => ({ list: [], count: patterns.length }));
  }

  private static byName(
    decay: number,
    layers: () => { list: readonly NamedLayer[]; count: number },
  ): LayerDecay {
    const find = ({ name }: NamedShape) => {
      const { list, count } = layers();
      return { layer: findByName(list, (entry) => entry.name, name)?.layer ?? null, count };
    };
    return new LayerDecay(decay, find, null, layers);
  }

  /** Factor on the learning rate of a variable; 1 for one of no layer. */
  of(variable: NamedShape): number {
    const { layer, count } = this.find(variable);
    return layer === null ? 1 : this.decay ** (count - 1 - layer);
  }

  /** @throws FtpError UNMATCHED_PATTERN for a layer of no variable. */
  check(variables: readonly NamedShape[]): void {
    for (const list of this.patterns ?? []) list.check(variables);
  }

  /** As JSON; the model is not saved, but which variable was of which layer. */
  toConfig(variables: readonly NamedShape[]): serialization.ConfigDict {
    const { list, count } = this.namedLayers();
    return {
      decay: this.decay,
      patterns: this.patterns?.map((entry) => entry.toConfig(variables)) ?? null,
      layers: list.map(({ name, layer }) => ({ ...savedString(name), layer })),
      count,
    } as unknown as serialization.ConfigDict;
  }

  /** The inverse of {@link toConfig}; throws for what it does not give. */
  static fromConfig(config: unknown): LayerDecay {
    const { decay, patterns, layers, count } = config as {
      decay: unknown;
      patterns: Array<{ patterns: unknown[]; names: unknown[] }> | null;
      layers: Array<{ layer: unknown }>;
      count: unknown;
    };
    const checked = checkDecay('decay', decay);
    if (patterns !== null) {
      return LayerDecay.byPatterns(
        checked,
        patterns.map((entry, i) => Patterns.fromConfig(termsOf(i), entry)),
      );
    }
    const saved = {
      list: layers.map((entry) => ({ name: stringOf(entry), layer: checkNumber('layer', entry.layer) })),
      count: checkNumber('count', count),
    };
    return LayerDecay.byName(checked, () => saved);
  }
}

function termsOf(i: number) {
  const option = `layerDecay.layers[${i}]`;
  const accepted = `${option} must be a non-empty string, a RegExp, {layer: name}, {rank: n} or an array of these`;
  return { option, accepted, ranks: true };
}
