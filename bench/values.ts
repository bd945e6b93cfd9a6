/** Reproducible weights and gradients, quick to make: tiles of one pattern. */

/** A prime, so that tiles of one variable and of the next do not line up. */
const PATTERN_LENGTH = 1_048_583;
let pattern: Float32Array | undefined;

/** Uniform in (-1, 1), never 0. */
function makePattern(): Float32Array {
  const values = new Float32Array(PATTERN_LENGTH);
  let state = 1;
  for (let i = 0; i < PATTERN_LENGTH; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0; // Numerical Recipes' generator
    values[i] = (state | 128) / 2 ** 31;
  }
  return values;
}

/** Values in (-scale, scale); the same for the same arguments. */
export function makeValues(length: number, seed: number, scale: number): Float32Array {
  pattern ??= makePattern();
  const values = new Float32Array(length);
  let start = (seed * 7919) % PATTERN_LENGTH;
  for (let done = 0; done < length; start = 0) {
    const tile = pattern.subarray(start, start + Math.min(length - done, PATTERN_LENGTH - start));
    for (let i = 0; i < tile.length; ++i) values[done + i] = scale * (tile[i] as number);
    done += tile.length;
  }
  return values;
}
