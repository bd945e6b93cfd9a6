import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Seeded random numbers for what is drawn, shuffled or resampled: the same seed gives the same values. */
export class Random {
  private readonly generator;

  /** @param keys integers or strings that together are the seed: `new Random(seed, 'train', family)`. */
  constructor(...keys: (number | string)[]) {
    this.generator = xoroshiro128plus(hashKeys(keys));
  }

  /** Uniform in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * uniformFloat64(this.generator);
  }

  /** Normally distributed (Box and Muller). */
  normal(mean = 0, deviation = 1): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return mean + deviation * radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Uniform integer in [low, high], both included. */
  integer(low: number, high: number): number {
    return uniformInt(this.generator, low, high);
  }

  /** One element of a non-empty array. */
  pick<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)] as T;
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** Shuffles an array in place (Fisher-Yates) and returns it. */
  shuffle<A extends { length: number; [index: number]: unknown }>(values: A): A {
    for (let i = values.length - 1; i > 0; --i) {
      const j = this.integer(0, i);
      [values[i], values[j]] = [values[j], values[i]];
    }
    return values;
  }
}

/** FNV-1a over the keys' text, so that every named stream is a stream of its own. */
export function hashKeys(keys: readonly (number | string)[]): number {
  let hash = 0x811c9dc5;
  for (const character of keys.join('\u0000')) {
    hash = Math.imul(hash ^ (character.codePointAt(0) as number), 0x01000193);
  }
  return hash | 0;
}
