/**
 * Bytes of memory traffic a float32 parameter, counted from what a step must read and write: the numbers that
 * GB/s and shares of the copy bandwidth are computed with. Cache misses on lines that are overwritten whole are
 * not counted, as they are not for the copy.
 */

export interface Traffic {
  /** Float32 words that are read, by name. */
  reads: readonly string[];
  /** Float32 words that are written, by name. */
  writes: readonly string[];
}

/** W weights, G gradient, A anchor, C deviation, m v moments, b momentum. */
export const TRAFFIC = {
  /** One word a float copied. */
  copy: { reads: ['source'], writes: ['target'] },
  /** Pass 1: G C m v -> C m v; pass 2: A C -> W. 36 where pass 2 finds C still in cache. */
  'ftp-adamw': { reads: ['G', 'C', 'm', 'v', 'A', 'C'], writes: ['C', 'm', 'v', 'W'] },
  /** With momentum. Pass 1: G C b -> C b; pass 2: A C -> W. */
  'ftp-sgd-momentum': { reads: ['G', 'C', 'b', 'A', 'C'], writes: ['C', 'b', 'W'] },
  /** Without momentum. Pass 1: G C -> C; pass 2: A C -> W. */
  'ftp-sgd': { reads: ['G', 'C', 'A', 'C'], writes: ['C', 'W'] },
  /** Plain fused AdamW: every variable excluded from projection. */
  adamw: { reads: ['W', 'G', 'm', 'v'], writes: ['m', 'v', 'W'] },
  /** The look for NaN and infinities, before anything is written. */
  check: { reads: ['G'], writes: [] },
} as const satisfies Record<string, Traffic>;

export type TrafficName = keyof typeof TRAFFIC;

/** Bytes a parameter of a step, or of a copied float. */
export function bytesPerParameter(...parts: readonly TrafficName[]): number {
  return parts.reduce(
    (total, part) => total + 4 * (TRAFFIC[part].reads.length + TRAFFIC[part].writes.length),
    0,
  );
}
