/** The factor that each variable has of its own on its rule's number, as far as its name and its layer give it. */

import type { serialization } from '@tensorflow/tfjs-core';
import { FtpError } from '../errors.js';
import type { BoundMethod, Place } from '../methods/method.js';
import { describe } from '../validate.js';
import { findByName, savedString, stringOf } from './names.js';

interface NamedScale {
  name: string;
  scale: number;
}

/** `body/dense` of `body/dense/kernel`; a name without a slash is a layer's too. */
function layerOf(name: string): string {
  const at = name.lastIndexOf('/');
  return at < 0 ? name : name.slice(0, at);
}

export class RuleScales {
  private readonly scaleOf: ((place: Place) => number) | null;
  private readonly layers: string[] = [];
  private readonly used = new Map<string, number>();
  /** Whether an option is a function, which cannot be saved. */
  private readonly fromFunction: boolean;

  /** `saved`: what {@link toConfig} gave, undefined for a new optimizer. */
  constructor(
    { rule, options }: BoundMethod,
    private readonly saved: readonly NamedScale[] = [],
    private readonly functionLost = false,
  ) {
    this.scaleOf = rule.placeScale?.(options) ?? null;
    this.fromFunction = Object.keys(rule.options).some((name) => typeof options[name] === 'function');
  }

  /** Tells which variables there are, in order; layers keep the index that they get first. */
  see(names: Iterable<string>): void {
    if (this.scaleOf === null) return;
    for (const layer of [...names].map(layerOf)) if (!this.layers.includes(layer)) this.layers.push(layer);
  }

  /**
   * The factor of a variable that {@link see} was told of.
   *
   * @throws FtpError STATE_MISMATCH where it came from a function that was not saved; TypeError or RangeError for what a
   *   function returns.
   */
  of(name: string, shape: readonly number[]): number {
    const saved = findByName(this.saved, (candidate) => candidate.name, name);
    const scale = saved?.scale ?? this.compute(name, shape);
    this.used.set(name, scale);
    return scale;
  }

  private compute(name: string, shape: readonly number[]): number {
    if (this.functionLost) {
      throw new FtpError(
        'STATE_MISMATCH',
        `an option of this optimizer was a function of the variable when it was saved, which cannot be saved, and ` +
          `'${name}' was not among its variables then: make the optimizer anew and load its state with setWeights`,
      );
    }
    if (this.scaleOf === null) return 1;
    const layer = this.layers.indexOf(layerOf(name));
    return this.scaleOf({ name, shape, layer, layers: this.layers.length });
  }

  /** As JSON, under the key `scales`; nothing where no variable has a factor of its own. */
  toConfig(): serialization.ConfigDict {
    const all = new Map(this.saved.map(({ name, scale }) => [name, scale]));
    for (const [name, scale] of this.used) all.set(name, scale);
    const fromFunction = this.fromFunction || this.functionLost;
    if (this.scaleOf === null && !fromFunction && this.saved.length === 0) return {};
    // JSON has no Infinity, which is what a free variable has.
    const list = [...all].map(([name, scale]) => ({ ...savedString(name), scale: String(scale) }));
    return { scales: { list, fromFunction } };
  }

  /**
   * The inverse of {@link toConfig}.
   *
   * @throws FtpError STATE_MISMATCH for what toConfig does not give.
   */
  static fromConfig(method: BoundMethod, config: unknown): RuleScales {
    if (config === undefined || config === null) return new RuleScales(method);
    try {
      const { list, fromFunction } = config as { list: Array<{ scale: unknown }>; fromFunction: boolean };
      const saved = list.map((entry) => {
        const scale = Number(entry.scale);
        if (!(scale >= 0)) throw new RangeError(`expected a number >= 0, got ${describe(entry.scale)}`);
        return { name: stringOf(entry), scale };
      });
      return new RuleScales(method, saved, fromFunction === true);
    } catch (cause) {
      throw new FtpError(
        'STATE_MISMATCH',
        `the configuration's 'scales' is not what an optimizer saves, got ${describe(config)}`,
        { cause },
      );
    }
  }
}
